//! What a worker process may still do once its plugin is loaded: read the descriptors it is given, compute, answer. No path,
//! no network, no other program; and while it loads, no more than to read files. Best effort, but said: older kernels enforce less.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};
use serde::{Deserialize, Serialize};

use super::Status;

/// The newest rules asked for; the kernel's own are a part of them.
const NEWEST: ABI = ABI::V6;

/// What a worker process said is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Enforced {
    /// No file can be opened, or, by a plugin that starts programs, none be written.
    pub(super) paths: bool,
    /// No network, no other process.
    pub(super) calls: bool,
}

/// What this kernel offers.
pub(super) fn status() -> Status {
    Status {
        processes: true,
        landlock: landlock(),
        seccomp: std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
            .is_ok_and(|actions| actions.split_whitespace().any(|action| action == "errno")),
    }
}

/// The kernel's version of landlock, which says it only to who uses it: a thread does, and ends.
fn landlock() -> Option<u32> {
    let used = || Ruleset::default().handle_access(AccessFs::Execute).ok()?.create().ok()?.restrict_self().ok();
    match std::thread::spawn(used).join().ok()??.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            Some(kernel_abi.and_then(|abi| abi.try_into().ok()).unwrap_or(effective_abi as u32))
        }
        _ => None,
    }
}

/// Before a plugin is loaded, whose initialisers run and may start threads: no network, no other process, and files only to be
/// read, as the system's loader does. For good.
pub(super) fn enter(programs: bool) -> Enforced {
    Enforced { paths: is_closed(&close_paths(true)), calls: close_calls(programs).is_ok() }
}

/// Once it is loaded: no file at all, unless it starts programs.
pub(super) fn close(programs: bool, entered: Enforced) -> Enforced {
    Enforced { paths: if programs { entered.paths } else { is_closed(&close_paths(false)) }, ..entered }
}

fn is_closed(status: &Result<RestrictionStatus, RulesetError>) -> bool {
    status.as_ref().is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced && status.no_new_privs)
}

fn close_paths(readable: bool) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::AbstractUnixSocket)?
        .create()?;
    if readable {
        let open = [("/", AccessFs::from_read(NEWEST)), ("/dev/null", AccessFs::ReadFile | AccessFs::WriteFile)];
        for (path, access) in open {
            if let Ok(path) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(path, access))?;
            }
        }
    }
    rules.restrict_self()
}

/// Calls that no format needs. With them a worker would reach the network, other processes, or more rights.
const DENIED: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Calls that start a program or a process.
const PROGRAMS: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Numbers of the second table of x86-64 that differ from the first: execve, ptrace, kexec_load, process_vm_readv,
/// process_vm_writev, execveat.
#[cfg(target_arch = "x86_64")]
const OTHER_TABLE: &[i64] = &[520, 521, 528, 539, 540, 545];
/// Set in the numbers of the second table of x86-64.
#[cfg(target_arch = "x86_64")]
const OTHER_TABLE_BIT: i64 = 0x4000_0000;

type Error = Box<dyn std::error::Error>;

fn close_calls(programs: bool) -> Result<(), Error> {
    let me = u64::from(std::process::id());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let when = |argument, compare, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value)?])
    };
    // Only to itself: of others, the group of its host among them, it knows nothing.
    rules.insert(libc::SYS_prlimit64, vec![when(0, SeccompCmpOp::Ne, 0)?]);
    if !programs {
        rules.extend(PROGRAMS.iter().map(|&call| (call, Vec::new())));
        rules.insert(libc::SYS_kill, vec![when(0, SeccompCmpOp::Ne, me)?]);
        rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Ne, me)?]);
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        rules.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
    }
    #[cfg(target_arch = "x86_64")]
    {
        let second: Vec<_> = rules.iter().map(|(&call, rules)| (call | OTHER_TABLE_BIT, rules.clone())).collect();
        rules.extend(second);
        rules.extend(OTHER_TABLE.iter().map(|&call| (call | OTHER_TABLE_BIT, Vec::new())));
    }
    apply(rules, libc::EPERM)?;
    if !programs {
        // Its flags lie in memory, where a filter cannot look: the C library falls back to `clone`.
        apply([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS)?;
    }
    Ok(())
}

fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<(), Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refused = SeccompAction::Errno(errno.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?.try_into()?;
    Ok(apply_filter_all_threads(&program)?)
}
