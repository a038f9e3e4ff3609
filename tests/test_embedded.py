"""What a program without Python gets: graphs that say what rmedge says, and a header that compilers take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import bundles
import numpy as np
import onnx
import onnxruntime
import pytest
import tearing
from onnx import numpy_helper, parser

from rmedge import Bundle, runtimes, words
from rmedge.errors import BundleError, CheckError, UsageError
from rmedge.export.__main__ import main
from rmedge.export.embedding import embedded, header, pixels, ticks
from rmedge.runtimes.features import FAINT, SPREAD, Features
from rmedge.runtimes.policy import Policy

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "onnx_cpp"
DAY_NS = 86_400_000_000_000
WRITTEN = {"policy.onnx", "encoder.onnx", "rmedge_bundle.h", "ticks.txt"}


@pytest.fixture(scope="module")
def bundle():
    return Bundle.load("g1-mirror")


@pytest.fixture(scope="module")
def written(bundle, tmp_path_factory):
    """A folder with what was embedded of the shipped bundle."""
    folder = tmp_path_factory.mktemp("embedded")
    assert embedded.embed(bundle, folder) <= 1e-6
    return folder


def graph(flow, opset, **constants):
    parsed = parser.parse_graph(flow)
    parsed.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model = onnx.helper.make_model(parsed, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


def tiny(folder, opset=17, image=None, **observation):
    """A bundle whose graphs are small but real, with an observation and a picture of the test's own."""
    says = bundles.manifest()
    policy, encoder = says["policy"], says["encoder"]
    policy["observation"].update(observation)
    says["robot"]["action_scale"] = np.linspace(0.2, 0.5, 29).tolist()
    felt = policy["observation"]["history"] * sum(t["size"] for t in policy["observation"]["terms"])
    policy["inputs"]["proprio"] = [1, felt]
    if image is not None:
        encoder["image"] = image
        colours = {"gray": 1, "rgb": 3}[image["colour"]]
        encoder["inputs"]["features"] = [1, colours, image["feature_height"], image["feature_width"]]
    shape = encoder["inputs"]["features"]
    random = np.random.default_rng(3)
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(
        graph(
            f"""policy (float[1,{felt}] proprio, float[1,4] intent, float[1,2,29] noise)
            => (float[1,2,29] action_chunk)
            {{
                felt = MatMul (proprio, w)
                meant = MatMul (intent, v)
                sum = Add (felt, meant)
                bent = Tanh (sum)
                rows = Reshape (bent, shape)
                action_chunk = Add (rows, noise)
            }}""",
            opset,
            w=random.standard_normal((felt, 58)).astype(np.float32),
            v=random.standard_normal((4, 58)).astype(np.float32),
            shape=np.array([1, 2, 29]),
        )
    )
    (folder / "encoder.onnx").write_bytes(
        graph(
            f"""encoder (float[{",".join(map(str, shape))}] features, float[1,6] state)
            => (float[1,4] intent, float[1,1] certainty, float[1,1] presence, float[1,6] next_state)
            {{
                flat = Reshape (features, all)
                next_state = Add (state, one)
                intent = MatMul (flat, w)
                certainty = MatMul (flat, u)
                presence = MatMul (flat, u)
            }}""",
            opset,
            all=np.array([1, -1]),
            one=np.ones((1, 1), np.float32),
            w=random.standard_normal((int(np.prod(shape)), 4)).astype(np.float32),
            u=random.standard_normal((int(np.prod(shape)), 1)).astype(np.float32),
        )
    )
    return Bundle.load(bundles.make(folder, says))


def answered(bundle, told):
    """The same ticks with what `Policy.act` says to them."""
    policy = Policy(bundle)
    policy.reset(seed=0)
    rows = [
        policy.act(told.state(tick), told.intent[tick], sent=told.sent[tick]).joint_pos
        for tick in range(len(told))
    ]
    return replace(told, joint_target=np.stack(rows))


def error(bundle, told):
    return np.abs(ticks.replay(embedded.policy(bundle), told) - told.joint_target).max()


class Listener:
    """A policy that writes down what it is asked and what it says."""

    def __init__(self, policy):
        self.policy, self.period_ns, self.calls = policy, policy.period_ns, []

    def reset(self, seed=0):
        self.policy.reset(seed)

    def act(self, state, z, trace=None, sent=None):
        chunk = self.policy.act(state, z, trace, sent)
        arrays = {name: np.array(getattr(state, name)) for name in ticks.STATE[:-1]}
        self.calls.append({**arrays, "stamp_ns": state.stamp_ns, "intent": np.array(z), "sent": sent,
                           "joint_target": chunk.joint_pos})  # fmt: skip
        return chunk


@pytest.fixture(scope="module")
def walk(bundle):
    """Four seconds of a simulated walk, as the runtime's own policy felt and planned it."""
    pytest.importorskip("mujoco")
    pytest.importorskip("cv2")
    mirror = runtimes.load(bundle)
    listener = mirror.pilot.policy = Listener(mirror.pilot.policy)
    mirror.follow(words.compose("walk forward", bundle.intent.phrases).phrase.z)
    with runtimes.open_camera("null") as camera, runtimes.open_actuator("sim", bundle.robot) as robot:
        runtimes.Loop(camera, mirror, robot).run(4.0, seed=0)
    first = listener.calls[0]
    assert first["sent"] is None
    first["sent"] = bundle.default_pose
    columns = {name: np.stack([call[name] for call in listener.calls]) for name in first}
    noise = np.random.default_rng(0).standard_normal(bundle.policy.inputs["noise"], np.float32)
    return ticks.Ticks(noise=noise, **columns)


def test_a_simulated_walk_is_planned_as_the_runtime_plans_it(bundle, walk):
    assert len(walk) == 200 and np.ptp(walk.joint_pos, axis=0).max() > 0.5  # it does walk
    plans = ticks.replay(embedded.policy(bundle), walk)
    print(f"bit for bit: {np.array_equal(plans, walk.joint_target)}")
    np.testing.assert_allclose(plans, walk.joint_target, rtol=0, atol=1e-6)
    other = replace(walk, sent=np.roll(walk.sent, 1, axis=0))  # what is not asked is not said
    assert np.abs(ticks.replay(embedded.policy(bundle), other) - walk.joint_target).max() > 1e-3


@pytest.mark.parametrize(
    "observation",
    [
        {},
        {"history": 1},
        {"history": 7, "clock_s": 0.83},
        {"terms": [{"name": "actions", "size": 29, "scale": 1.0, "clip": 0.01},
                   {"name": "clock", "size": 4, "scale": 0.5, "clip": 0.4},
                   {"name": "joint_pos", "size": 29, "scale": 2.0, "clip": 1.5}]},
        {"terms": [{"name": "projected_gravity", "size": 3, "scale": 1.0, "clip": 1.0}], "history": 3},
    ],
    ids=["all", "no history", "long history", "other terms", "one term"],
)  # fmt: skip
def test_every_observation_is_felt_as_the_runtime_feels_it(tmp_path, observation):
    bundle = tiny(tmp_path / "tiny", **observation)
    told = ticks.rehearse(bundle)
    assert len(told) == bundles.CASES * bundle.policy.observation.history
    assert error(bundle, told) <= 1e-12


def test_stamps_may_come_late_stand_still_and_count_a_hundred_days(tmp_path):
    bundle = tiny(tmp_path / "tiny", history=4)
    told = ticks.rehearse(bundle)
    steps = np.resize([20_000_000, 61_234_567, 0, 19_999_999], len(told))
    for start in (0, 100 * DAY_NS + 1):
        late = answered(bundle, replace(told, stamp_ns=start + np.cumsum(steps)))
        assert error(bundle, late) <= 1e-12
        assert np.abs(late.joint_target - told.joint_target).max() > 1e-3


def test_a_memory_of_zeros_is_a_new_episode(bundle):
    told = ticks.rehearse(bundle)
    session = onnxruntime.InferenceSession(embedded.policy(bundle), providers=["CPUExecutionProvider"])
    size = ticks.memory_size(bundle)

    def step(tick, memory):
        feed = {name: getattr(told, name)[tick : tick + 1] for name in (*ticks.STATE, "intent")}
        feed.update(stamp_ns=told.stamp_ns[tick].reshape(1, 1), noise=told.noise, memory=memory)
        return session.run(["joint_target", "next_memory"], feed)

    _, memory = step(3, np.zeros((1, size)))
    history = memory[0, 2:].reshape(bundle.policy.observation.history, -1)
    assert tuple(memory[0, :2]) == (1.0, told.stamp_ns[3]) and (history == history[0]).all()
    _, later = step(4, memory)
    assert not np.array_equal(later[0, 2:], memory[0, 2:])
    np.testing.assert_array_equal(later[0, 1], memory[0, 1])
    again, memory = step(3, np.zeros((1, size)))
    np.testing.assert_array_equal(again[0], step(3, np.zeros((1, size)))[0][0])


def test_the_bundles_nodes_and_weights_are_inside_untouched(bundle):
    own = onnx.load_from_string(bundle.graph("policy")).graph
    model = onnx.load_from_string(embedded.policy(bundle))
    inside = [node for node in model.graph.node if node.name.startswith(embedded.INSIDE)]
    assert len(inside) == len(own.node)
    for ours, theirs in zip(inside, own.node, strict=True):
        assert (ours.op_type, ours.domain) == (theirs.op_type, theirs.domain)
        assert list(ours.attribute) == list(theirs.attribute)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in own.initializer:
        found = numpy_helper.to_array(weights[embedded.INSIDE + tensor.name])
        np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))
    assert {prop.key: prop.value for prop in model.metadata_props} == {embedded.BUNDLE: bundle.sha256}
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("opset", [11, 13, 15, 18, 20])
def test_graphs_of_other_operator_sets_are_embedded_as_they_are(tmp_path, opset):
    pytest.importorskip("cv2")
    bundle = tiny(tmp_path / "tiny", opset, image("gray", 32, 16))
    for embed in (embedded.policy, embedded.encoder):
        assert onnx.load_from_string(embed(bundle)).opset_import[0].version == opset
    assert error(bundle, ticks.rehearse(bundle)) <= 1e-12
    session = onnxruntime.InferenceSession(embedded.encoder(bundle), providers=["CPUExecutionProvider"])
    feed = {"pixels": np.zeros((1, 32, 32, 3), np.uint8), "state": np.zeros((1, 6), np.float32)}
    assert all(np.isfinite(answer).all() for answer in session.run(None, feed))


def test_older_operators_are_refused(tmp_path):
    with pytest.raises(BundleError) as refused:
        embedded.policy(tiny(tmp_path / "tiny", 10))
    assert str(refused.value) == (
        "policy: expected a graph of operator set 11 or newer, got 10; export it again"
    )


def test_a_graph_that_is_not_what_the_bundle_says_is_refused(tmp_path):
    with pytest.raises(BundleError, match="graph: expected one that onnxruntime"):
        embedded.policy(Bundle.load(bundles.make(tmp_path / "noise")))
    with pytest.raises(BundleError, match="graph: expected one that onnxruntime"):
        embedded.encoder(Bundle.load(tmp_path / "noise"))


def test_what_does_not_agree_is_not_written(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(ticks, "replay", lambda graph, told: told.joint_target + np.nan)
    with pytest.raises(CheckError, match=r"embedded policy: expected .* within 1e-06 rad, got nan"):
        embedded.embed(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def image(colour, small, size):
    return {"colour": colour, "motion": "none", "height": small, "width": small, "feature_height": size,
            "feature_width": size}  # fmt: skip


@pytest.mark.parametrize("camera", [(480, 640), (192, 192), (96, 96)])
@pytest.mark.parametrize(("small", "size"), [(96, 48), (96, 96), (64, 96)])
@pytest.mark.parametrize("colour", ["rgb", "gray"])
def test_the_encoder_takes_pixels_and_sees_what_opencv_sees(tmp_path, colour, small, size, camera):
    cv2 = pytest.importorskip("cv2")
    bundle = tiny(tmp_path / "tiny", image=image(colour, small, size))
    model = onnx.load_from_string(embedded.encoder(bundle, camera))
    model.graph.output.append(onnx.helper.make_tensor_value_info("seen", onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, *camera, 3]
    noise = np.random.default_rng(5).integers(0, 256, (*camera, 3), np.uint8)
    few = 0.2 if colour == "gray" and size > small else 0.005  # OpenCV enlarges with integers
    level = 1.2 / (SPREAD if colour == "rgb" else FAINT)  # one grey level, and what that moves the mean by
    for picture in (noise, cv2.blur(noise, (9, 9)), np.full_like(noise, 200)):
        expected = Features(bundle.encoder.image, 1).push(picture, 0)
        feed = {"pixels": picture[None], "state": np.ones((1, 6), np.float32)}
        seen, state = session.run(["seen", "next_state"], feed)
        apart = np.abs(seen - expected)
        assert apart.max() <= level and (apart > level / 2).mean() < few
        assert (state == 2.0).all()


def test_without_a_camera_the_bundles_own_picture_is_taken(tmp_path):
    pytest.importorskip("cv2")
    bundle = tiny(tmp_path / "tiny", image=image("rgb", 64, 48))
    session = onnxruntime.InferenceSession(embedded.encoder(bundle), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["pixels", "state"]
    assert session.get_inputs()[0].shape == [1, 64, 64, 3]


def test_an_encoder_that_sees_motion_is_the_bundles_own(bundle):
    assert embedded.encoder(bundle) == bundle.graph("encoder")
    with pytest.raises(
        UsageError, match="camera: expected none for a bundle that sees dis_flow, got 640x480"
    ):
        embedded.encoder(bundle, (480, 640))


def test_a_picture_cannot_shrink_and_grow_at_once(tmp_path):
    pytest.importorskip("cv2")
    bundle = tiny(tmp_path / "tiny", image=image("gray", 96, 48))
    with pytest.raises(UsageError, match="expected one that is resized one way, got 640x64 for 96x96"):
        embedded.encoder(bundle, (64, 640))


@pytest.mark.parametrize("text", ["640", "640x", "0x480", "640x480x3", "-1x5", "640 x 480", "٣x٣"])
def test_a_cameras_size_is_read_with_care(text):
    assert pixels.size_of("640x480") == (480, 640)
    with pytest.raises(UsageError, match="camera: expected its width and height, as 640x480"):
        pixels.size_of(text)


TELL = """
#include "rmedge_bundle.h"
#include <stdio.h>
#define ALL(array) (sizeof(array) / sizeof((array)[0]))
int main(void)
{
    size_t i, j;
    const rmedge_bundle_tick *tick = &rmedge_bundle_ticks[RMEDGE_BUNDLE_TICKS - 1];
    printf("%s|%s|%s|", RMEDGE_BUNDLE_NAME, RMEDGE_BUNDLE_SHA256, RMEDGE_BUNDLE_LICENCE);
    printf("%d|%d|%d|%ld\\n", RMEDGE_BUNDLE_JOINTS, RMEDGE_BUNDLE_ROWS, RMEDGE_BUNDLE_MEMORY,
           (long)RMEDGE_BUNDLE_POLICY_PERIOD_NS);
    for (i = 0; i < RMEDGE_BUNDLE_JOINTS; i++)
        printf("%s %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g\\n", rmedge_bundle_joint_names[i],
               rmedge_bundle_default_pose[i], rmedge_bundle_kp[i], rmedge_bundle_kd[i],
               rmedge_bundle_action_scale[i], rmedge_bundle_lower[i], rmedge_bundle_upper[i],
               rmedge_bundle_rate_limit[i], rmedge_bundle_torque_limit[i]);
    for (i = 0; i < ALL(rmedge_bundle_policy_inputs); i++) {
        printf("%s %d", rmedge_bundle_policy_inputs[i].name, rmedge_bundle_policy_inputs[i].type);
        for (j = 0; j < (size_t)rmedge_bundle_policy_inputs[i].rank; j++)
            printf(" %d", (int)rmedge_bundle_policy_inputs[i].shape[j]);
        printf("\\n");
    }
    for (i = 0; i < RMEDGE_BUNDLE_PHRASES; i++) {
        printf("%.17g", rmedge_bundle_phrases[i].z[RMEDGE_BUNDLE_INTENT - 1]);
        for (j = 0; rmedge_bundle_phrases[i].caption[j]; j++)
            printf(" %d", (unsigned char)rmedge_bundle_phrases[i].caption[j]);
        printf("\\n");
    }
    printf("%ld %.17g %.17g %.17g\\n", (long)tick->stamp_ns, tick->joint_pos[0], tick->intent[0],
           tick->joint_target[RMEDGE_BUNDLE_ROWS - 1][RMEDGE_BUNDLE_JOINTS - 1]);
    printf("%.17g %.17g\\n", rmedge_bundle_noise[RMEDGE_BUNDLE_NOISE - 1], rmedge_bundle_stand[0]);
    return 0;
}
"""


def told_by(folder, tmp_path):
    """What a strict C99 program reads in the header of a folder."""
    source = tmp_path / "tell.c"
    source.write_text(TELL)
    program = tearing.compiled(source, tmp_path / "tell", folder)
    if program is None:
        pytest.skip("no C compiler on this machine")
    return subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_strict_compiler_reads_in_the_header_what_the_bundle_says(bundle, written, tmp_path):
    lines = iter(told_by(written, tmp_path))
    assert next(lines) == f"g1-mirror|{bundle.sha256}|{bundle.licence}|29|6|487|20000000"
    limits = bundle.envelope
    columns = (bundle.default_pose, bundle.kp, bundle.kd, bundle.action_scale, limits.lower, limits.upper,
               limits.rate_limit, limits.torque_limit)  # fmt: skip
    for name, *values in zip(bundle.joint_names, *columns):
        found = next(lines).split()
        assert found[0] == name and [float(value) for value in found[1:]] == values
    tensors = [next(lines) for _ in range(9)]
    assert {"joint_pos 11 1 29", "stamp_ns 7 1 1", "memory 11 1 487", "intent 1 1 32", "noise 1 1 6 29"} < {
        *tensors
    }
    for phrase in bundle.intent.phrases:
        last, *caption = next(lines).split()
        assert float(last) == phrase.z[-1] and bytes(map(int, caption)) == phrase.caption.encode()
    told = ticks.rehearse(bundle)
    tick = header.GOLDEN - 1
    ends = [
        told.stamp_ns[tick],
        told.joint_pos[tick, 0],
        told.intent[tick, 0],
        told.joint_target[tick, -1, -1],
    ]
    assert [float(value) for value in next(lines).split()] == ends
    assert [float(value) for value in next(lines).split()] == [told.noise.flat[-1], bundle.intent.stand[0]]
    assert next(lines, None) is None


def test_hostile_words_stay_words(tmp_path):
    captions = ['"; system("x"); //', "*/ int main", "what??/", "back\\n\\", "näh 歩く", "a  b" * 300]
    says = bundles.manifest()
    (phrase,) = says["intent"]["vocabulary"]
    says["intent"]["vocabulary"] = [{**phrase, "caption": caption} for caption in captions]
    says["licence"] = 'none" "*/'
    folder = tmp_path / "tiny"
    tiny(folder)
    embedded.embed(Bundle.load(bundles.make(folder, says_like(folder, says))), tmp_path / "out")
    lines = told_by(tmp_path / "out", tmp_path)
    assert lines[0].split("|")[2] == says["licence"]
    found = [bytes(map(int, line.split()[1:])).decode() for line in lines[-2 - len(captions) : -2]]
    assert found == captions


def says_like(folder, says):
    """A manifest with the words of another."""
    import yaml

    found = yaml.safe_load((folder / "bundle.yaml").read_text())
    found.pop("files")
    return {**found, "intent": says["intent"], "licence": says["licence"]}


def test_the_header_is_good_cpp_and_goes_with_the_boards(written, tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    from rmedge.runtimes import native

    source = tmp_path / "both.cpp"
    source.write_text('#include "rmedge_shm.h"\n#include "rmedge_bundle.h"\nint main() { return 0; }\n')
    flags = ["-Wall", "-Wextra", "-Werror", "-std=c++11", "-fsyntax-only", f"-I{native.include_dir()}"]
    done = subprocess.run([compiler, *flags, f"-I{written}", str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_ticks_are_written_in_full(bundle, written):
    first, *lines = (written / "ticks.txt").read_text().splitlines()
    columns = [(name, int(size)) for name, size in re.findall(r"(\w+)\[(\d+)\]", first)]
    told = ticks.rehearse(bundle)
    assert len(lines) == len(told) == 40
    rows = np.array([line.split() for line in lines], float)
    blocks = np.split(rows, np.cumsum([size for _, size in columns])[:-1], axis=1)
    for (name, _), block in zip(columns, blocks, strict=True):
        np.testing.assert_array_equal(block, getattr(told, name).reshape(len(told), -1))


def test_the_command_writes_all_of_it(written, tmp_path, capsys):
    assert main(["embed", "g1-mirror", "--out", str(tmp_path / "out")]) == 0
    assert re.search(
        r"joint targets differ from rmedge's own by at most [\d.e-]+ rad", capsys.readouterr().out
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (written / name).read_bytes()
    assert main(["embed", "g1-mirror", "--out", str(tmp_path / "out" / "ticks.txt")]) == 2
    assert "out: expected a folder that can be written" in capsys.readouterr().err
    assert main(["embed", "nothing", "--out", str(tmp_path / "other")]) == 2


def headers():
    """The folder of onnxruntime's C headers, where somebody installed them."""
    named = os.environ.get("ONNXRUNTIME_INCLUDE", "")
    for folder in (named, "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"):
        if folder and (Path(folder) / "onnxruntime_c_api.h").exists():
            return folder
    return None


@pytest.fixture(scope="module")
def replayer(written, tmp_path_factory):
    """The C++ example, built with its CMake file against the onnxruntime of this Python."""
    include, cmake = headers(), shutil.which("cmake")
    if include is None or cmake is None:
        pytest.skip(
            "no onnxruntime_c_api.h (ONNXRUNTIME_INCLUDE, or Debian's libonnxruntime-dev), or no cmake"
        )
    folder = tmp_path_factory.mktemp("cpp")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # a wheel has it under its full name alone
        (folder / name).symlink_to(library)
    found = [f"-DBUNDLE={written}", f"-DONNXRUNTIME_INCLUDE={include}"]
    found.append(f"-DONNXRUNTIME_LIBRARY={folder / 'libonnxruntime.so'}")
    for command in (
        ["-S", str(EXAMPLE), "-B", str(folder / "build"), *found],
        ["--build", str(folder / "build")],
    ):
        done = subprocess.run([cmake, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "rmedge_policy"


def replayed(program, *arguments):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)


def test_the_cpp_example_says_the_same_bit_for_bit(bundle, written, replayer, walk, tmp_path):
    file = tmp_path / "walk.txt"
    file.write_text(
        replace(walk, joint_target=ticks.replay((written / "policy.onnx").read_bytes(), walk)).text()
    )
    done = replayed(replayer, written / "policy.onnx", file)
    assert done.returncode == 0, done.stdout + done.stderr
    golden, walked = done.stdout.splitlines()
    assert golden.startswith("golden: 5 ticks, ")
    assert f"{file}: 200 ticks, max error 0 rad (bit for bit), " in walked


def test_the_cpp_example_tells_what_is_wrong(written, replayer, tmp_path):
    lines = (written / "ticks.txt").read_text().splitlines()
    numbers = lines[7].split()
    numbers[1] = str(float(numbers[1]) + 0.5)  # a joint that was elsewhere
    (tmp_path / "moved.txt").write_text("\n".join([*lines[:7], " ".join(numbers), *lines[8:]]))
    done = replayed(replayer, written / "policy.onnx", tmp_path / "moved.txt")
    assert done.returncode == 1 and "bit for bit" in done.stdout.splitlines()[0]
    (tmp_path / "cut.txt").write_text("\n".join([lines[0], lines[1][:500]]))
    done = replayed(replayer, written / "policy.onnx", tmp_path / "cut.txt")
    assert (done.returncode, done.stderr) == (2, "ticks: expected a tick of this bundle in line 2\n")
    (tmp_path / "other.onnx").write_bytes(embedded.policy(Bundle.load("t1-mirror")))
    done = replayed(replayer, tmp_path / "other.onnx")
    assert done.returncode == 2 and "build with the header that lies beside it" in done.stderr
    assert replayed(replayer).returncode == 2
