/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The view of _temp where the Worker sees it, and _temp itself, whatever a job did to it.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attached.h"
#include "broker/daemon/ipc/procfs.h"
#include "rh-test-self.h"

/* A process that waits, as a Worker does while its hook runs; in a mount namespace of its own? */
static pid_t start_worker(bool own_namespace)
{
	int ready[2];
	char c = 0;

	ck_assert_int_eq(pipe(ready), 0);

	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (own_namespace &&
			(unshare(CLONE_NEWNS) < 0 ||
				mount("none", "/", "none", MS_REC | MS_SLAVE, NULL) < 0))
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);

	struct rh_proc_stat stat;

	ck_assert_int_eq(rh_proc_stat(pid, &stat), 0);
	fix_request.worker_pid = pid;
	fix_request.worker_start = stat.start_ticks;
	return pid;
}

static void end_worker(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void plant_links(void)
{
	(void)unlink(in_work("_temp/link"));
	ck_assert_int_eq(symlink("/etc/hostname", in_work("_temp/link")), 0);
	ck_assert_int_eq(symlink(in_work("demo"), in_work("_temp/folder")), 0);
}

static int open_errno(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int chmod_0(const char *path)
{
	return chmod(path, 0) < 0 ? -errno : 0;
}

static int mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return (int)(st.st_mode & 07777);
}

static int uid_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return (int)st.st_uid;
}

static void attach(void)
{
	ck_assert_msg(rh_attach_run(&fix_tools, &fix_request, &fix_result, &fix_err) == 0, "%s",
		fix_err.text);
}

static void retire(void)
{
	const struct rh_mount_retire request = {
		.root = fake_root,
		.work = fake_work,
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
	};

	ck_assert_msg(rh_retire_run(&fix_tools, &request, &fix_err) == 0, "%s", fix_err.text);
}

START_TEST(no_link_is_followed_where_the_worker_is)
{
	int n = fake_n_mounts();
	pid_t worker = start_worker(false);

	attach();
	ck_assert(fix_result.no_follow);
	ck_assert_int_eq(fake_n_mounts(), n + 1);
	plant_links();
	ck_assert_int_eq(open_errno(in_work("_temp/link")), ELOOP);
	ck_assert_int_eq(open_errno(in_work("_temp/folder/x")), ELOOP);
	/* The job itself follows its own links. */
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_mkdir, in_work("_temp/dir")), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_work("_temp/folder/.")), 1);
	/* And cannot take its place. */
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_rename_dir, in_work("_temp")), -EBUSY);
	end_worker(worker);
	retire();
	ck_assert_int_eq(fake_n_mounts(), n);
	ck_assert_int_eq(fake_exists(in_work("_temp")), 1);
	ck_assert_int_eq(open_errno(in_work("_temp/link")), ENOENT);
	ck_assert_int_eq(uid_of(in_work("_temp")), FAKE_RUNNER_UID);
}
END_TEST

/* A service with a namespace of its own: there, and only there. */
START_TEST(the_view_is_in_the_workers_own_namespace)
{
	int n = fake_n_mounts();
	pid_t worker = start_worker(true);
	char path[700];

	/* The fixture's mounts are shared; such a service's are not. */
	attach();
	ck_assert(fix_result.no_follow);
	plant_links();
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)worker, in_work("_temp/link"));
	ck_assert_int_eq(open_errno(path), ELOOP);
	retire();
	ck_assert_int_eq(open_errno(path), ENOENT);
	end_worker(worker);
	ck_assert_int_eq(fake_n_mounts(), n);
}
END_TEST

/* A broker that was killed leaves views: each attach takes them off before it puts its own on. */
START_TEST(what_was_left_is_taken_off)
{
	int n = fake_n_mounts();
	pid_t worker = start_worker(false);

	attach();
	for (int i = 0; i < 3; i++) {
		fix_restart(NULL);
		fix_request.state_dir = fake_state;
		rh_views_deinit(&fix_views);
		attach();
		ck_assert_int_eq(fake_n_mounts(), n + 1);
	}
	end_worker(worker);
	retire();
	ck_assert_int_eq(fake_n_mounts(), n);
}
END_TEST

START_TEST(a_reused_pid_is_not_a_worker)
{
	pid_t worker = start_worker(false);

	fix_request.worker_start++;
	ck_assert_int_eq(fix_attach(), -ESRCH);
	fix_must_say("where the runner sees it");
	fix_request.worker_start--;
	end_worker(worker);
	ck_assert_int_eq(fix_attach(), -ESRCH);
}
END_TEST

/* A mount of the host's own on _temp is none of our views. */
START_TEST(the_hosts_own_mount_stays)
{
	int n = fake_n_mounts();

	ck_assert_int_eq(mount("tmpfs", in_work("_temp"), "tmpfs", 0, "uid=4711,gid=4712"), 0);

	pid_t worker = start_worker(false);

	attach();
	ck_assert_int_eq(fake_n_mounts(), n + 2);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("_temp/file")), 0);
	end_worker(worker);
	retire();
	ck_assert_int_eq(fake_n_mounts(), n + 1);
	ck_assert_int_eq(fake_exists(in_work("_temp/file")), -ENOENT);
}
END_TEST

/* Whatever a job did to _temp, the next Worker finds one that it can use. */
START_TEST(a_spoiled_temp_is_swapped)
{
	pid_t worker = start_worker(false);
	struct stat before;
	struct stat after;

	attach();
	ck_assert_int_eq(fake_run(&fix_c, 0, chmod_0, in_work("_temp")), 0);
	ck_assert_int_eq(mode_of(in_work("_temp")), 0);
	ck_assert_int_eq(stat(in_work("_temp"), &before), 0);
	end_worker(worker);
	retire();
	ck_assert_int_eq(stat(in_work("_temp"), &after), 0);
	ck_assert(before.st_ino != after.st_ino);
	ck_assert_int_eq(mode_of(in_work("_temp")), 0755);
	/* Once: what nobody had is not touched. */
	ck_assert_int_eq(fake_write(in_work("_temp/mine")), 0);
	retire();
	ck_assert_int_eq(fake_exists(in_work("_temp/mine")), 1);
}
END_TEST

/* Names that .NET cannot delete do not reach the next Worker; nor does what a link leads to. */
START_TEST(actions_are_moved_away)
{
	pid_t worker = start_worker(false);

	attach();
	ck_assert_int_eq(fake_write(in_work("_actions/not utf-8: \xff")), 0);
	end_worker(worker);
	retire();
	ck_assert_int_eq(fake_exists(in_work("_actions")), -ENOENT);
	/* Without a job, too: the Worker may have failed at them. */
	ck_assert_int_eq(mkdir(in_work("_actions"), 0), 0);
	retire();
	ck_assert_int_eq(fake_exists(in_work("_actions")), -ENOENT);
	ck_assert_int_eq(symlink(in_work("demo"), in_work("_actions")), 0);
	retire();
	ck_assert_int_eq(fake_exists(in_work("_actions")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("demo/demo")), 1);
	retire();
}
END_TEST

START_TEST(a_mount_at_actions_stays)
{
	ck_assert_int_eq(mount("tmpfs", in_work("_actions"), "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(fake_write(in_work("_actions/mine")), 0);
	retire();
	ck_assert_int_eq(fake_exists(in_work("_actions/mine")), 1);
}
END_TEST

/* A set-user-id file of a job is out of reach for everybody else. */
START_TEST(the_work_directory_is_closed)
{
	ck_assert_int_eq(chmod(fake_work, 0755), 0);
	ck_assert_int_eq(fix_attach(), 0);
	ck_assert_int_eq(mode_of(fake_work), 0700);
	/* One of another owner is not ours to close. */
	fix_restart(NULL);
	ck_assert_int_eq(chown(fake_work, 0, 0), 0);
	ck_assert_int_eq(chmod(fake_work, 0755), 0);
	fix_request.state_dir = fake_state;
	ck_assert_int_eq(fix_attach(), 0);
	ck_assert_int_eq(mode_of(fake_work), 0755);
}
END_TEST

/* The clock is asked how old a Worker is. */
static int64_t later_s;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = __real_clock_gettime(clock, ret_time);

	if (r == 0 && clock == CLOCK_BOOTTIME)
		ret_time->tv_sec += later_s;
	return r;
}

/* This program as the runner's Worker: nobody's job. */
static pid_t start_real_worker(void)
{
	const char *program = in_root("bin/Runner.Worker");

	ck_assert_int_eq(rh_test_copy_self(program), 0);
	return rh_test_start_self(program, NULL);
}

/* One that uses _temp keeps it; one that has only just been started gets a fresh one. */
START_TEST(a_worker_that_lives_is_waited_for)
{
	const struct rh_mount_retire request = {
		.root = fake_root,
		.work = fake_work,
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
	};
	pid_t worker = start_worker(false);

	attach();
	ck_assert_int_eq(fake_run(&fix_c, 0, chmod_0, in_work("_temp")), 0);
	end_worker(worker);
	worker = start_real_worker();
	later_s = 5;
	ck_assert(rh_view_in_use(fake_root, fake_work));
	ck_assert_int_eq(rh_retire_run(&fix_tools, &request, &fix_err), -EAGAIN);
	fix_must_say("lives");
	ck_assert_int_eq(mode_of(in_work("_temp")), 0);
	/* It has been there already, or is too old by now. */
	later_s = 0;
	ck_assert_int_eq(mkdir(in_work("_temp/mine"), 0755), 0);
	ck_assert(rh_view_in_use(fake_root, fake_work));
	/* As it is at its start, however slow this machine is. */
	later_s = -3600;
	ck_assert(!rh_view_in_use(fake_root, fake_work));
	retire();
	ck_assert_int_eq(mode_of(in_work("_temp")), 0755);
	end_worker(worker);
	later_s = 5;
	ck_assert(!rh_view_in_use(fake_root, fake_work));
}
END_TEST

static void tests(Suite *suite)
{
	TCase *view = tcase_create("view");

	tcase_add_checked_fixture(view, fix_attach_setup, fix_attach_teardown);
	tcase_add_test(view, no_link_is_followed_where_the_worker_is);
	tcase_add_test(view, the_view_is_in_the_workers_own_namespace);
	tcase_add_test(view, what_was_left_is_taken_off);
	tcase_add_test(view, a_reused_pid_is_not_a_worker);
	tcase_add_test(view, the_hosts_own_mount_stays);
	tcase_add_test(view, a_spoiled_temp_is_swapped);
	tcase_add_test(view, a_worker_that_lives_is_waited_for);
	tcase_add_test(view, actions_are_moved_away);
	tcase_add_test(view, a_mount_at_actions_stays);
	tcase_add_test(view, the_work_directory_is_closed);
	suite_add_tcase(suite, view);
}

int main(int argc, char **argv)
{
	return rh_test_is_self(argc, argv) ? rh_test_self_main() : RH_TEST_RUN("mount/view", tests);
}
