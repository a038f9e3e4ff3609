/* A firmware application around rmedge: it owns the loop and the robot, rmedge thinks.
 *
 * Five hundred times a second it reads the robot, tells rmedge, looks for rmedge's newest target, checks
 * it, keeps it within the robot's own range, and sends it. When rmedge is silent for 80 ms, says so
 * itself, or makes no sense, it damps, at every period until there is a target again.
 *
 *     firmware ROBOT_DIR RMEDGE_DIR [SECONDS]
 *
 * This robot is simulated: `rmedge guard --actuator sim --boards ROBOT_DIR` serves it through a second
 * pair of boards. Replace the four functions robot_* with those of your motor bus; the rest stays.
 */
#include "rmedge_shm.h" /* before any system header: it asks for POSIX */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_NS 2000000
#define HEARTBEAT_NS 80000000 /* how long rmedge may be silent */
#define LOOK_PERIODS 50 /* between two looks for a body that is not there */
#define DAMPING 5.0 /* [N m s/rad] */
#define LAST_PERIODS 100 /* of damping before leaving: one command at the end might get lost */

/* The robot's own range [rad], in the order of its joints: a Unitree G1's. What comes from elsewhere is
 * never believed to be within it. */
static const double RANGE[][2] = {
    {-2.5307, 2.8798}, /* left_hip_pitch_joint */
    {-0.5236, 2.9671}, /* left_hip_roll_joint */
    {-2.7576, 2.7576}, /* left_hip_yaw_joint */
    {-0.087267, 2.8798}, /* left_knee_joint */
    {-0.87267, 0.5236}, /* left_ankle_pitch_joint */
    {-0.2618, 0.2618}, /* left_ankle_roll_joint */
    {-2.5307, 2.8798}, /* right_hip_pitch_joint */
    {-2.9671, 0.5236}, /* right_hip_roll_joint */
    {-2.7576, 2.7576}, /* right_hip_yaw_joint */
    {-0.087267, 2.8798}, /* right_knee_joint */
    {-0.87267, 0.5236}, /* right_ankle_pitch_joint */
    {-0.2618, 0.2618}, /* right_ankle_roll_joint */
    {-2.618, 2.618}, /* waist_yaw_joint */
    {-0.52, 0.52}, /* waist_roll_joint */
    {-0.52, 0.52}, /* waist_pitch_joint */
    {-3.0892, 2.6704}, /* left_shoulder_pitch_joint */
    {-1.5882, 2.2515}, /* left_shoulder_roll_joint */
    {-2.618, 2.618}, /* left_shoulder_yaw_joint */
    {-1.0472, 2.0944}, /* left_elbow_joint */
    {-1.97222, 1.97222}, /* left_wrist_roll_joint */
    {-1.61443, 1.61443}, /* left_wrist_pitch_joint */
    {-1.61443, 1.61443}, /* left_wrist_yaw_joint */
    {-3.0892, 2.6704}, /* right_shoulder_pitch_joint */
    {-2.2515, 1.5882}, /* right_shoulder_roll_joint */
    {-2.618, 2.618}, /* right_shoulder_yaw_joint */
    {-1.0472, 2.0944}, /* right_elbow_joint */
    {-1.97222, 1.97222}, /* right_wrist_roll_joint */
    {-1.61443, 1.61443}, /* right_wrist_pitch_joint */
    {-1.61443, 1.61443}, /* right_wrist_yaw_joint */
};
#define JOINTS (sizeof RANGE / sizeof RANGE[0])

static struct {
    unsigned long periods, missed, commands, damped, silences, refused, clamped, robot_stale;
    double latest_ms; /* how old a heartbeat was at the most when damping began */
} counts;

static volatile sig_atomic_t leaving;

static void leave(int signal_number)
{
    (void)signal_number;
    leaving = 1;
}

/* ---- The robot: yours goes here ---- */

static rmedge_board robot_states, robot_targets;

static int robot_open(const char *directory)
{
    if (rmedge_open_reader(&robot_states, directory, RMEDGE_BOARD_STATE) != RMEDGE_OK) {
        fprintf(stderr, "robot: %s\n", robot_states.error);
        return 0;
    }
    if (rmedge_open_writer(&robot_targets, directory, RMEDGE_BOARD_TARGET, 0) != RMEDGE_OK) {
        fprintf(stderr, "robot: %s\n", robot_targets.error);
        rmedge_close(&robot_states);
        return 0;
    }
    return 1;
}

/* The newest state, with the instant at which it was measured; 0: there is no new one. */
static int robot_read(rmedge_state *state)
{
    uint64_t before = robot_states.sequence;
    if (!rmedge_read(&robot_states) || robot_states.sequence == before) return 0;
    memcpy(state, robot_states.record, sizeof *state);
    return state->joints == JOINTS;
}

static void robot_write(uint32_t mode, const double *joint_pos, const double *kp, const double *kd)
{
    rmedge_target *out = (rmedge_target *)robot_targets.record;
    out->stamp_ns = rmedge_now_ns();
    out->joints = JOINTS;
    out->mode = mode;
    memcpy(out->joint_pos, joint_pos, JOINTS * sizeof *joint_pos);
    memcpy(out->kp, kp, JOINTS * sizeof *kp);
    memcpy(out->kd, kd, JOINTS * sizeof *kd);
    rmedge_publish(&robot_targets);
}

static void robot_close(void)
{
    rmedge_close(&robot_states);
    rmedge_close(&robot_targets);
}

/* ---- The application ---- */

static void damp(const rmedge_state *state)
{
    double kp[JOINTS] = {0.0}, kd[JOINTS];
    size_t i;
    for (i = 0; i < JOINTS; i++) kd[i] = DAMPING;
    robot_write(RMEDGE_MODE_DAMP, state->joint_pos, kp, kd);
    counts.damped++;
}

static void follow(const rmedge_target *target)
{
    double joint_pos[JOINTS];
    size_t i;
    for (i = 0; i < JOINTS; i++) {
        double wanted = target->joint_pos[i]; /* finite: rmedge_must_damp has looked */
        joint_pos[i] = wanted < RANGE[i][0] ? RANGE[i][0] : wanted > RANGE[i][1] ? RANGE[i][1] : wanted;
        if (joint_pos[i] != wanted) counts.clamped++;
    }
    robot_write(RMEDGE_MODE_POSITION, joint_pos, target->kp, target->kd);
    counts.commands++;
}

/* rmedge may come later than we do, go, and come back: look for its targets while there are none.
 * 0: a body of another layout version is there, which must not be obeyed at all. */
static int look_for_rmedge(rmedge_board *targets, const char *directory)
{
    int result;
    if (targets->record != NULL) {
        if (!rmedge_replaced(targets)) return 1;
        rmedge_close(targets);
    }
    result = rmedge_open_reader(targets, directory, RMEDGE_BOARD_TARGET);
    if (result == RMEDGE_OK || result == RMEDGE_ABSENT) return 1;
    fprintf(stderr, "rmedge: %s\n", targets->error);
    return 0;
}

/* One period; returns 0 where rmedge must not be obeyed. */
static int step(rmedge_state *state, rmedge_board *states, rmedge_board *targets, const char *directory)
{
    static int obeying;
    const rmedge_target *target = NULL;
    int64_t now_ns;

    if (robot_read(state)) {
        memcpy(states->record, state, sizeof *state);
        rmedge_publish(states);
    } else {
        counts.robot_stale++; /* rmedge sees by the stamp how old the last one is */
    }
    if (!obeying && counts.periods % LOOK_PERIODS == 0 && !look_for_rmedge(targets, directory)) return 0;
    if (targets->record != NULL) {
        rmedge_read(targets);
        if (targets->sequence > 0) target = (const rmedge_target *)targets->record;
    }
    now_ns = rmedge_now_ns();
    if (!rmedge_must_damp(target, JOINTS, now_ns, HEARTBEAT_NS)) {
        follow(target);
        obeying = 1;
    } else {
        damp(state);
        if (target != NULL && obeying && !rmedge_fresh(target->stamp_ns, now_ns, HEARTBEAT_NS)) {
            double age_ms = (double)(now_ns - target->stamp_ns) / 1e6;
            counts.silences++;
            if (age_ms > counts.latest_ms) counts.latest_ms = age_ms;
        } else if (target != NULL && target->mode == RMEDGE_MODE_POSITION
                   && rmedge_fresh(target->stamp_ns, now_ns, HEARTBEAT_NS)) {
            counts.refused++;
        }
        obeying = 0;
    }
    counts.periods++;
    return 1;
}

/* Deadlines lie on a fixed grid: a missed one is skipped and counted, never made up. */
static void wait_for_period(int64_t *next_ns)
{
    int64_t late = (rmedge_now_ns() - *next_ns) / PERIOD_NS;
    struct timespec until;
    if (late > 0) {
        counts.missed += (unsigned long)late;
        *next_ns += late * PERIOD_NS;
    }
    until.tv_sec = (time_t)(*next_ns / 1000000000);
    until.tv_nsec = (long)(*next_ns % 1000000000);
    while (!leaving && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
    *next_ns += PERIOD_NS;
}

int main(int argc, char **argv)
{
    static rmedge_board states, targets; /* static: each holds its checksum's tables */
    static rmedge_state state;
    double seconds = argc > 3 ? atof(argv[3]) : 0.0;
    struct sigaction action;
    int64_t next_ns, end_ns;
    int i, obey = 1;

    if (argc < 3) {
        fprintf(stderr, "usage: firmware ROBOT_DIR RMEDGE_DIR [SECONDS]\n");
        return 2;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = leave;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    if (!robot_open(argv[1])) return 3;
    if (rmedge_open_writer(&states, argv[2], RMEDGE_BOARD_STATE, 0) != RMEDGE_OK) {
        fprintf(stderr, "rmedge: %s\n", states.error);
        robot_close();
        return 1;
    }
    next_ns = rmedge_now_ns() + PERIOD_NS;
    end_ns = seconds > 0.0 ? next_ns + (int64_t)(seconds * 1e9) : INT64_MAX;
    while (!leaving && next_ns < end_ns && (obey = step(&state, &states, &targets, argv[2])) != 0)
        wait_for_period(&next_ns);
    leaving = 0;
    for (i = 0; i < LAST_PERIODS && !leaving; i++) { /* a second signal ends it at once */
        damp(&state);
        wait_for_period(&next_ns);
    }
    printf("{\"periods\": %lu, \"missed\": %lu, \"commands\": %lu, \"damped\": %lu, \"silences\": %lu, "
           "\"refused\": %lu, \"clamped\": %lu, \"robot_stale\": %lu, \"torn\": %llu, \"latest_ms\": %.3f}\n",
           counts.periods, counts.missed, counts.commands, counts.damped, counts.silences, counts.refused,
           counts.clamped, counts.robot_stale,
           (unsigned long long)(targets.torn + robot_states.torn), counts.latest_ms);
    if (targets.record != NULL) rmedge_close(&targets);
    rmedge_close(&states);
    robot_close();
    return obey ? 0 : 1;
}
