/* The C side of tests/test_boards.py: says how the compiler lays records out, writes and reads boards. */
#include "rmedge_shm.h"

#define SAY(record, field)                                                                    \
    printf(#record " " #field " %zu %zu\n", offsetof(rmedge_##record, field),                 \
           sizeof(((rmedge_##record *)0)->field))

static int layout(void)
{
    SAY(state, stamp_ns); SAY(state, joints); SAY(state, joint_pos); SAY(state, joint_vel);
    SAY(state, motor_temp); SAY(state, base_ang_vel); SAY(state, projected_gravity);
    SAY(target, stamp_ns); SAY(target, joints); SAY(target, mode); SAY(target, state);
    SAY(target, joint_pos); SAY(target, kp); SAY(target, kd);
    SAY(intent, stamp_ns); SAY(intent, captured_ns); SAY(intent, size); SAY(intent, camera);
    SAY(intent, frames); SAY(intent, z); SAY(intent, certainty); SAY(intent, presence); SAY(intent, name);
    SAY(frame, captured_ns); SAY(frame, number); SAY(frame, width); SAY(frame, height);
    printf("frame pixels %zu 0\n", offsetof(rmedge_frame, pixels));
    SAY(status, stamp_ns); SAY(status, state); SAY(status, ticks); SAY(status, missed);
    SAY(status, counts); SAY(status, reason);
    SAY(request, stamp_ns); SAY(request, count); SAY(request, verb); SAY(request, magnitude);
    SAY(request, slowdown); SAY(request, reason);
    printf("sizes %zu %zu %zu %zu %zu %zu\n", sizeof(rmedge_state), sizeof(rmedge_target),
           sizeof(rmedge_intent), sizeof(rmedge_frame), sizeof(rmedge_status), sizeof(rmedge_request));
    return 0;
}

/* Everything in a record follows from its number. */
static void fill(rmedge_state *state, uint64_t number)
{
    int i;
    state->stamp_ns = (int64_t)number;
    state->joints = (uint32_t)(number % RMEDGE_MAX_JOINTS);
    for (i = 0; i < RMEDGE_MAX_JOINTS; i++) {
        state->joint_pos[i] = (double)number + i;
        state->joint_vel[i] = -(double)number - i;
        state->motor_temp[i] = (double)number * 2 + i;
    }
}

static int consistent(const rmedge_state *state, uint64_t number)
{
    static rmedge_state wanted;
    fill(&wanted, number);
    return memcmp(&wanted, state, sizeof wanted) == 0;
}

static int fail(const rmedge_board *board, int result)
{
    printf("%d %s\n", result, board->error);
    return 1;
}

static int write_fast(const char *directory, double seconds)
{
    static rmedge_board board;
    int64_t end_ns = rmedge_now_ns() + (int64_t)(seconds * 1e9);
    int result = rmedge_open_writer(&board, directory, RMEDGE_BOARD_STATE, 0);
    if (result != RMEDGE_OK) return fail(&board, result);
    while (rmedge_now_ns() < end_ns) {
        fill((rmedge_state *)board.record, board.sequence + 1);
        rmedge_publish(&board);
    }
    printf("{\"wrote\": %llu}\n", (unsigned long long)board.sequence);
    rmedge_close(&board);
    return 0;
}

static int read_fast(const char *directory, double seconds)
{
    static rmedge_board board;
    unsigned long long reads = 0, none = 0, bad = 0, back = 0, fresh = 0;
    const struct timespec pause = {0, 1000000};
    uint64_t before = 0;
    int64_t end_ns;
    int result = rmedge_open_reader(&board, directory, RMEDGE_BOARD_STATE);
    if (result != RMEDGE_OK) return fail(&board, result);
    while (!rmedge_read(&board)) nanosleep(&pause, NULL); /* its writer is on its way */
    end_ns = rmedge_now_ns() + (int64_t)(seconds * 1e9);
    while (rmedge_now_ns() < end_ns) {
        if (!rmedge_read(&board)) {
            none++;
            continue;
        }
        reads++;
        bad += !consistent((const rmedge_state *)board.record, board.sequence);
        back += board.sequence < before;
        fresh += board.sequence > before;
        before = board.sequence;
    }
    printf("{\"reads\": %llu, \"fresh\": %llu, \"none\": %llu, \"bad\": %llu, \"back\": %llu, \"torn\": %llu}\n",
           reads, fresh, none, bad, back, (unsigned long long)board.torn);
    rmedge_close(&board);
    return 0;
}

static int write_frame(const char *directory)
{
    static rmedge_board board;
    rmedge_frame *frame;
    uint64_t i;
    int result = rmedge_open_writer(&board, directory, RMEDGE_BOARD_FRAME, 5 * 3 * 3);
    if (result != RMEDGE_OK) return fail(&board, result);
    frame = (rmedge_frame *)board.record;
    frame->captured_ns = rmedge_now_ns();
    frame->number = 7;
    frame->width = 5;
    frame->height = 3;
    for (i = 0; i < board.capacity; i++) frame->pixels[i] = (uint8_t)i;
    rmedge_publish(&board);
    rmedge_close(&board);
    return 0;
}

static int open_only(const char *directory, int name, int writer)
{
    static rmedge_board board;
    int result = writer ? rmedge_open_writer(&board, directory, (rmedge_board_name)name, 0)
                        : rmedge_open_reader(&board, directory, (rmedge_board_name)name);
    if (result != RMEDGE_OK) return fail(&board, result);
    result = rmedge_read(&board);
    printf("0 %d %llu %llu\n", result, (unsigned long long)board.sequence, (unsigned long long)board.torn);
    rmedge_close(&board);
    rmedge_close(&board);
    return 0;
}

static int damps(const char *directory, uint32_t joints)
{
    static rmedge_board board;
    const rmedge_target *target;
    if (rmedge_open_reader(&board, directory, RMEDGE_BOARD_TARGET) != RMEDGE_OK || !rmedge_read(&board)) return 1;
    target = (const rmedge_target *)board.record;
    printf("%d\n", rmedge_must_damp(target, joints, target->stamp_ns, 80000000));
    rmedge_close(&board);
    return 0;
}

static int judge(void) /* stdin: lines of stamp, now, budget; says which are fresh */
{
    long long stamp, now, budget;
    while (scanf("%lld %lld %lld", &stamp, &now, &budget) == 3)
        printf("%d\n", rmedge_fresh(stamp, now, budget));
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "", *directory = argc > 2 ? argv[2] : "";
    double figure = argc > 3 ? atof(argv[3]) : 0.0;
    if (strcmp(verb, "layout") == 0) return layout();
    if (strcmp(verb, "write") == 0) return write_fast(directory, figure);
    if (strcmp(verb, "read") == 0) return read_fast(directory, figure);
    if (strcmp(verb, "frame") == 0) return write_frame(directory);
    if (strcmp(verb, "open") == 0) return open_only(directory, (int)figure, 0);
    if (strcmp(verb, "create") == 0) return open_only(directory, (int)figure, 1);
    if (strcmp(verb, "damps") == 0) return damps(directory, (uint32_t)figure);
    if (strcmp(verb, "judge") == 0) return judge();
    return 2;
}
