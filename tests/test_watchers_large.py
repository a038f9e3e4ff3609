"""Large models watch through their real classes: tiny random ones, for want of weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rmedge.errors import UsageError
from rmedge.export.watchers import vlm

transformers = pytest.importorskip("transformers", reason='no transformers: pip install "rmedge[vlm]"')
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers")

SPECIAL = (
    "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
)  # fmt: skip
WORDS = ["<unk>", "<pad>", "<eos>", *SPECIAL, "Please", "describe", "the", "motion", "in", "video"]
NUMBER = {word: number for number, word in enumerate(WORDS)}
TEXT = {
    "vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 1, "eos_token_id": 2,
    "bos_token_id": None,
}  # fmt: skip
SAYS = (
    "{% for turn in messages %}{% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
PICTURES = np.random.default_rng(0).integers(0, 255, (20, 40, 40, 3), dtype=np.uint8)


def tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(NUMBER, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>",
        additional_special_tokens=list(SPECIAL),
    )  # fmt: skip


def qwen():
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    config = transformers.Qwen3VLConfig(
        text_config={
            **TEXT,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 1e4},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 8,
            "out_hidden_size": 32, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
        },
        image_token_id=NUMBER["<|image_pad|>"], video_token_id=NUMBER["<|video_pad|>"],
        vision_start_token_id=NUMBER["<|vision_start|>"], vision_end_token_id=NUMBER["<|vision_end|>"],
    )  # fmt: skip
    images = Qwen2VLImageProcessorPil(patch_size=8, size={"shortest_edge": 256, "longest_edge": 1024})
    says = SAYS.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = transformers.Qwen3VLProcessor(images, tokenizer(), None, chat_template=says)
    return transformers.Qwen3VLForConditionalGeneration(config), processor


def smol():
    pytest.importorskip("num2words")
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    config = transformers.SmolVLMConfig(
        text_config={"model_type": "llama", **TEXT},
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        },
        image_token_id=NUMBER["<image>"], pad_token_id=1,
    )  # fmt: skip
    images = SmolVLMImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 32})
    processor = transformers.SmolVLMProcessor(
        images, tokenizer(), None, image_seq_len=4, chat_template=SAYS.replace("IMAGE", "<image>")
    )
    processor.video_processor = SimpleNamespace(num_frames=8, fps=1, video_size={"longest_edge": 32})
    return transformers.SmolVLMForConditionalGeneration(config), processor


@pytest.fixture(params=[qwen, smol], ids=["Qwen3-VL", "SmolVLM"])
def made(request, monkeypatch):
    """A tiny model and its processor, without the part for videos, which needs torchvision."""
    parts = classmethod(lambda cls: ["image_processor", "tokenizer"])
    for name in ("Qwen3VLProcessor", "SmolVLMProcessor"):
        monkeypatch.setattr(getattr(transformers, name), "get_attributes", parts)
    torch.manual_seed(0)
    return request.param()


def test_a_vision_language_model_watches(made):
    model, processor = made
    watcher = vlm.Vlm(model, processor)
    features, at, text = watcher.see(PICTURES)
    assert features.shape == (vlm.PICTURES, 64) and at.tolist() == [0, 3, 5, 8, 11, 14, 16, 19]
    assert np.isfinite(features).all() and isinstance(text, str)
    # the first half belongs to the pictures, the second is the text's and one for all
    assert np.ptp(features[:, 32:], axis=0).max() == 0 and np.ptp(features[:, :32], axis=0).min() > 0
    other = PICTURES.copy()
    other[-1] = 255 - other[-1]
    changed, *_ = watcher.see(other)
    np.testing.assert_allclose(changed[:-1, :32], features[:-1, :32], atol=1e-4)  # it reads in order
    assert np.abs(changed[-1, :32] - features[-1, :32]).max() > 1e-3
    with pytest.raises(UsageError, match="expected a head to intents, got none"):
        watcher.watch(PICTURES, 10.0)


def test_its_head_is_fitted_and_the_prompt_is_the_views(made, tmp_path):
    model, processor = made
    features, *_ = vlm.Vlm(model, processor).see(PICTURES)
    z = np.random.default_rng(0).normal(size=(len(features), 32))
    head = vlm.fit_head(features, z, ridge=1e-6)
    head.save(tmp_path / "head.npz")
    watcher = vlm.Vlm(model, processor, "egocentric", vlm.Head.load(tmp_path / "head.npz"))
    asked = []
    real = processor.tokenizer
    template = processor.apply_chat_template
    processor.apply_chat_template = lambda talk, **rest: asked.append(talk) or template(talk, **rest)
    watched = watcher.watch(PICTURES, 10.0)
    assert watched.latents.shape == (20, 32) and watched.latents.dtype == np.float32
    np.testing.assert_array_equal(watched.latents[0], watched.latents[2])  # held from picture to picture
    assert np.abs(watched.latents[2] - watched.latents[3]).max() > 1e-4
    (turn,) = asked[0]
    assert [part["type"] for part in turn["content"]] == ["image"] * 8 + ["text"]
    assert turn["content"][-1]["text"].endswith("first-person individual in the egocentric video")
    assert real is processor.tokenizer
    with pytest.raises(UsageError, match="expected a view of egocentric, third-person, got 'top'"):
        vlm.Vlm(model, processor, "top")


def test_a_saved_model_is_loaded_without_its_code_and_from_safetensors_alone(made, tmp_path, monkeypatch):
    model, processor = made
    model.save_pretrained(tmp_path / "model")
    asked = []

    def from_pretrained(name, **how):
        asked.append(how)
        return processor  # the real one needs torchvision

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", from_pretrained)
    loaded = vlm.Vlm.load(str(tmp_path / "model"))
    assert type(loaded.model) is type(model) and asked == [{"trust_remote_code": False}]
    before, *_ = vlm.Vlm(model, processor).see(PICTURES)
    np.testing.assert_allclose(loaded.see(PICTURES)[0], before, atol=1e-4)
    weights = tmp_path / "model" / "model.safetensors"
    torch.save(model.state_dict(), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(UsageError, match="expected an image-text-to-text model in safetensors"):
        vlm.Vlm.load(str(tmp_path / "model"))


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_vision_tower_is_an_eye(kind, tmp_path):
    from rmedge.export.watchers.tower import Tower

    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8}  # fmt: skip
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}VisionModel")(getattr(transformers, f"{kind}VisionConfig")(**size))
    model.save_pretrained(tmp_path)
    shape = {"height": 32, "width": 32}
    side = {"size": shape, "crop_size": shape} if kind == "CLIP" else {"size": shape}
    getattr(transformers, f"{kind}ImageProcessor")(**side).save_pretrained(tmp_path)
    eye = Tower.load(str(tmp_path))
    tokens = eye.look(PICTURES, 10.0)
    assert tokens.shape == (10, eye.features) == (10, 16) and tokens.dtype == np.float16
    assert (tokens[0] != tokens[1]).any()
    np.testing.assert_array_equal(eye.look(PICTURES[4:], 10.0), tokens[2:])
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="expected a model in safetensors"):
        Tower.load(str(tmp_path))


def test_what_is_no_vision_tower_is_refused(tmp_path):
    from rmedge.export.watchers.tower import Tower

    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"expected one of clip, .*, got 'bert'"):
        Tower.load(str(tmp_path))
