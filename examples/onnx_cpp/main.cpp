// rmedge's policy in a program without Python: onnxruntime's C API and what `rmedge export embed` wrote.
//
//     rmedge_policy policy.onnx [ticks.txt]
//
// Replays the header's golden ticks and then the file's, one call of the policy each, as a robot would make
// them. Exits with 1 where a joint target lies further from rmedge's own than RMEDGE_BUNDLE_TOLERANCE, with 2
// where there is nothing to run. To make it yours: fill a tick from your motor bus at every
// RMEDGE_BUNDLE_POLICY_PERIOD_NS, `act`, and send what `bounded` leaves of the first row.
#include "rmedge_bundle.h"

#include <onnxruntime_c_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int joints = RMEDGE_BUNDLE_JOINTS;
using Tick = rmedge_bundle_tick;
using Row = double[joints];
template <class T> using Owned = std::unique_ptr<T, void (*)(T *)>;

const OrtApi *ort = nullptr;

void check(OrtStatus *status)
{
    if (status == nullptr) return;
    const std::string message = ort->GetErrorMessage(status);
    ort->ReleaseStatus(status);
    throw std::runtime_error(message);
}

// The bundle's policy: raw state in, joint targets out. After the constructor it allocates nothing of its own.
class Policy {
  public:
    explicit Policy(const char *path)
    {
        OrtEnv *env = nullptr;
        check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "rmedge", &env));
        env_.reset(env);
        OrtSessionOptions *raw = nullptr;
        check(ort->CreateSessionOptions(&raw));
        const Owned<OrtSessionOptions> options(raw, ort->ReleaseSessionOptions);
        check(ort->SetIntraOpNumThreads(options.get(), 1)); // a small graph: threads cost more than they give
        check(ort->SetInterOpNumThreads(options.get(), 1));
        OrtSession *session = nullptr;
        check(ort->CreateSession(env, path, options.get(), &session));
        session_.reset(session);
        require_the_headers_bundle();

        const std::map<std::string, Buffer> buffers = {
            {"stamp_ns", {&tick_.stamp_ns, sizeof tick_.stamp_ns}},
            {"joint_pos", {tick_.joint_pos, sizeof tick_.joint_pos}},
            {"joint_vel", {tick_.joint_vel, sizeof tick_.joint_vel}},
            {"base_ang_vel", {tick_.base_ang_vel, sizeof tick_.base_ang_vel}},
            {"projected_gravity", {tick_.projected_gravity, sizeof tick_.projected_gravity}},
            {"sent", {tick_.sent, sizeof tick_.sent}},
            {"intent", {tick_.intent, sizeof tick_.intent}},
            {"noise", {noise_, sizeof noise_}},
            {"memory", {memory_, sizeof memory_}},
            {"next_memory", {next_memory_, sizeof next_memory_}},
            {"joint_target", {tick_.joint_target, sizeof tick_.joint_target}},
        };
        for (const auto &tensor : rmedge_bundle_policy_inputs) bind(tensor, buffers, input_names_, inputs_);
        for (const auto &tensor : rmedge_bundle_policy_outputs) bind(tensor, buffers, output_names_, outputs_);
        reset(rmedge_bundle_noise);
    }

    // A new episode, with its noise: standard normal, the same at every call.
    void reset(const float *noise)
    {
        std::memcpy(noise_, noise, sizeof noise_);
        std::fill(std::begin(memory_), std::end(memory_), 0.0);
    }

    // Joint targets [rad] for the next RMEDGE_BUNDLE_ROWS ticks, the first for now; there until the next call.
    const Row *act(const Tick &tick)
    {
        tick_ = tick;
        check(ort->Run(session_.get(), nullptr, input_names_.data(), inputs_.data(), inputs_.size(),
                       output_names_.data(), output_names_.size(), outputs_.data()));
        for (const auto &row : tick_.joint_target)
            for (const double angle : row)
                if (!std::isfinite(angle)) throw std::runtime_error("policy: expected finite joint targets");
        std::memcpy(memory_, next_memory_, sizeof memory_); // not before they are known to be sound
        return tick_.joint_target;
    }

  private:
    struct Buffer {
        void *data;
        size_t bytes;
    };

    void bind(const rmedge_bundle_tensor &tensor, const std::map<std::string, Buffer> &buffers,
              std::vector<const char *> &names, std::vector<OrtValue *> &values)
    {
        const Buffer &buffer = buffers.at(tensor.name);
        OrtValue *value = nullptr;
        check(ort->CreateTensorWithDataAsOrtValue(cpu_memory(), buffer.data, buffer.bytes, tensor.shape,
                                                  static_cast<size_t>(tensor.rank),
                                                  static_cast<ONNXTensorElementDataType>(tensor.type), &value));
        owned_.emplace_back(value, ort->ReleaseValue);
        names.push_back(tensor.name);
        values.push_back(value);
    }

    const OrtMemoryInfo *cpu_memory()
    {
        if (cpu_ == nullptr) {
            OrtMemoryInfo *info = nullptr;
            check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &info));
            cpu_.reset(info);
        }
        return cpu_.get();
    }

    void require_the_headers_bundle()
    {
        OrtModelMetadata *raw = nullptr;
        check(ort->SessionGetModelMetadata(session_.get(), &raw));
        const Owned<OrtModelMetadata> metadata(raw, ort->ReleaseModelMetadata);
        OrtAllocator *allocator = nullptr;
        check(ort->GetAllocatorWithDefaultOptions(&allocator));
        char *found = nullptr;
        check(ort->ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, "rmedge.bundle", &found));
        const std::string bundle = found == nullptr ? "none" : found;
        if (found != nullptr) check(ort->AllocatorFree(allocator, found));
        if (bundle != RMEDGE_BUNDLE_SHA256)
            throw std::runtime_error("policy: expected a graph of the bundle " RMEDGE_BUNDLE_SHA256 ", got " + bundle
                                     + "; build with the header that lies beside it");
    }

    Owned<OrtEnv> env_{nullptr, ort->ReleaseEnv};
    Owned<OrtSession> session_{nullptr, ort->ReleaseSession};
    Owned<OrtMemoryInfo> cpu_{nullptr, ort->ReleaseMemoryInfo};
    Tick tick_{};
    float noise_[RMEDGE_BUNDLE_NOISE]{};
    double memory_[RMEDGE_BUNDLE_MEMORY]{}, next_memory_[RMEDGE_BUNDLE_MEMORY]{};
    std::vector<Owned<OrtValue>> owned_;
    std::vector<const char *> input_names_, output_names_;
    std::vector<OrtValue *> inputs_, outputs_;
};

// What may be sent of a target: no further than the joints may move in a period, and within their range.
// It stands in for rmedge's envelope, which also bounds torque and jerk (docs/embedding.md). True: it changed.
bool bounded(const double *target, const double *sent, double *send)
{
    bool changed = false;
    for (int i = 0; i < joints; i++) {
        const double reach = rmedge_bundle_rate_limit[i] * RMEDGE_BUNDLE_POLICY_PERIOD_NS * 1e-9;
        const double near = std::clamp(target[i], sent[i] - reach, sent[i] + reach);
        send[i] = std::clamp(near, rmedge_bundle_lower[i], rmedge_bundle_upper[i]);
        changed |= send[i] != target[i];
    }
    return changed;
}

std::vector<Tick> read_ticks(const char *path)
{
    std::ifstream file(path);
    if (!file) throw std::runtime_error(std::string("ticks: expected a file, got ") + path);
    std::vector<Tick> ticks;
    std::string line;
    for (int number = 1; std::getline(file, line); number++) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream numbers(line);
        Tick tick{};
        const auto read = [&numbers](auto &values) {
            for (auto &value : values) numbers >> value;
        };
        numbers >> tick.stamp_ns;
        read(tick.joint_pos);
        read(tick.joint_vel);
        read(tick.base_ang_vel);
        read(tick.projected_gravity);
        read(tick.sent);
        read(tick.intent);
        for (auto &row : tick.joint_target) read(row);
        if (!numbers)
            throw std::runtime_error("ticks: expected a tick of this bundle in line " + std::to_string(number));
        ticks.push_back(tick);
    }
    return ticks;
}

// One episode; true: every target is as near to rmedge's own as the bundle promises.
bool replay(Policy &policy, const char *name, const Tick *ticks, size_t count)
{
    if (count == 0) throw std::runtime_error(std::string(name) + ": expected ticks, got none");
    std::vector<double> microseconds;
    double worst = 0.0, send[joints];
    size_t clamped = 0;
    policy.reset(rmedge_bundle_noise);
    for (const Tick *tick = ticks; tick != ticks + count; tick++) {
        const auto began = std::chrono::steady_clock::now();
        const Row *target = policy.act(*tick);
        microseconds.push_back(
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count());
        clamped += bounded(target[0], tick->sent, send); // send it: here it would go to the motors
        for (int row = 0; row < RMEDGE_BUNDLE_ROWS; row++)
            for (int i = 0; i < joints; i++)
                worst = std::max(worst, std::fabs(target[row][i] - tick->joint_target[row][i]));
    }
    std::nth_element(microseconds.begin(), microseconds.begin() + count / 2, microseconds.end());
    std::printf("%s: %zu ticks, max error %.3g rad%s, %zu clamped, median %.0f us\n", name, count, worst,
                worst == 0.0 ? " (bit for bit)" : "", clamped, microseconds[count / 2]);
    return worst <= RMEDGE_BUNDLE_TOLERANCE;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: rmedge_policy policy.onnx [ticks.txt]\n");
        return 2;
    }
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (ort == nullptr) {
        std::fprintf(stderr, "onnxruntime: expected one with API %d or newer, got %s\n", ORT_API_VERSION,
                     OrtGetApiBase()->GetVersionString());
        return 2;
    }
    try {
        Policy policy(argv[1]);
        bool near = replay(policy, "golden", rmedge_bundle_ticks, RMEDGE_BUNDLE_TICKS);
        if (argc > 2) {
            const std::vector<Tick> ticks = read_ticks(argv[2]);
            near = replay(policy, argv[2], ticks.data(), ticks.size()) && near;
        }
        return near ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
