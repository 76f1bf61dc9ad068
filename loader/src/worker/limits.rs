//! What the system limits: in the worker process memory, files and time; seen from the host, how much of them it used.

use std::time::Duration;

use mediary_core::{Error, ErrorKind, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Descriptors a worker may have open.
const DESCRIPTORS: u64 = 256;

/// Bytes of private memory of a worker whose records may hold `alloc_bytes`: the record, its encoded form or scratch of the
/// same size, and what the program itself takes. Its memory files may not be larger either.
pub(super) fn memory(alloc_bytes: u64) -> u64 {
    alloc_bytes.saturating_mul(2).saturating_add(512 << 20)
}

/// In the worker, first: caps that stay.
pub(super) fn cap(alloc_bytes: u64) -> Result<()> {
    let memory = memory(alloc_bytes);
    for (resource, most) in
        [(Resource::Core, 0), (Resource::Nofile, DESCRIPTORS), (Resource::Data, memory), (Resource::Fsize, memory)]
    {
        let now = getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| Error::new(ErrorKind::Worker, format!("cannot limit {resource:?}: {error}")))?;
    }
    Ok(())
}

/// In the worker, for each request: `cpu_ms` from now on, in whole seconds. The host looks more closely, this holds without
/// it. The hard limit stays where it is: once lowered it could not be raised for the next request.
pub(super) fn allow_cpu(cpu_ms: u64) {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let second = (cpu_ms != u64::MAX)
        .then(|| u64::try_from(used.tv_sec).unwrap_or(0).saturating_add(cpu_ms.div_ceil(1000)).saturating_add(1));
    let maximum = getrlimit(Resource::Cpu).maximum;
    // Failing leaves the host's own look at the time.
    let _ = setrlimit(Resource::Cpu, Rlimit { current: second.or(maximum), maximum });
}

/// From the host: the time a process has computed so far.
pub(super) fn cpu(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything: fields are counted behind it, from the third.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)))
}

/// From the host: the bytes of memory a process has.
pub(super) fn resident(process: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}
