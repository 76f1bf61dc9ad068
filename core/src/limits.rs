//! Limits with numbers, and the byte budget that every reader draws on before it allocates.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

macro_rules! limits {
    ($( $(#[$doc:meta])* $name:ident: $desktop:expr, $service:expr, $untrusted:expr; )*) => {
        /// Resource caps. `u64::MAX` means unlimited. Every value can be set by name, as `--limit name=value`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits { $( $(#[$doc])* pub $name: u64, )* }

        impl Limits {
            /// For one's own files on one's own machine: generous, still bounded.
            #[must_use]
            pub const fn desktop() -> Self { Self { $( $name: $desktop, )* } }

            /// For a server that converts what its users send.
            #[must_use]
            pub const fn service() -> Self { Self { $( $name: $service, )* } }

            /// For files from anywhere.
            #[must_use]
            pub const fn untrusted() -> Self { Self { $( $name: $untrusted, )* } }

            /// The names of all limits, in order.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($name), )* ];

            /// Reads a limit by name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name { $( stringify!($name) => Some(self.$name), )* _ => None }
            }

            /// Sets a limit by name; `false` if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name { $( stringify!($name) => { self.$name = value; true } )* _ => false }
            }
        }
    };
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

limits! {
    // desktop, service, untrusted
    /// Bytes of one input. Streams of unknown length are cut off here with an error.
    input_bytes: u64::MAX, 4 * GIB, 256 * MIB;
    /// Sibling files one record may open, with those that its input opens before its first record.
    sibling_files: 256, 256, 32;
    /// Bytes of all these siblings together.
    sibling_bytes: 4 * GIB, GIB, 256 * MIB;
    /// Bytes one record may hold in memory; every allocation from a file-supplied size is counted.
    alloc_bytes: 768 * MIB, 768 * MIB, 256 * MIB;
    /// Bytes one output may have.
    output_bytes: u64::MAX, 16 * GIB, GIB;
    /// Ratio of decoded to encoded bytes that is taken for a decompression bomb.
    expansion_ratio: 2000, 1000, 200;
    /// Nesting depth of documents and node trees.
    depth: 128, 128, 64;
    /// Records of one input.
    records: u64::MAX, 10_000_000, 1_000_000;
    /// Elements of one array: vertices, atoms, rows, points.
    elements: 1 << 31, 1 << 30, 1 << 26;
    /// Bytes of one text value: a name, a cell, a line.
    string_bytes: 64 * MIB, 16 * MIB, 4 * MIB;
    /// Pixels of one image or frame.
    pixels: 1 << 28, 1 << 27, 1 << 26;
    /// Frames of one clip.
    frames: 1_000_000, 100_000, 10_000;
    /// Milliseconds of wall time for one input.
    wall_ms: u64::MAX, 300_000, 60_000;
    /// Milliseconds of CPU time for one input, in a worker process.
    cpu_ms: u64::MAX, 300_000, 60_000;
    /// Milliseconds a worker process may show no progress.
    stall_ms: 120_000, 60_000, 10_000;
}

impl Limits {
    /// The preset of this name: `desktop`, `service` or `untrusted`.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "desktop" => Some(Self::desktop()),
            "service" => Some(Self::service()),
            "untrusted" => Some(Self::untrusted()),
            _ => None,
        }
    }

    /// Refuses `wanted` when it is over `allowed`. `name` is the limit's field name.
    ///
    /// # Errors
    /// `Limit`, naming the limit.
    pub fn check(&self, name: &'static str, wanted: u64) -> Result<()> {
        let allowed = self.get(name).unwrap_or(u64::MAX);
        if wanted > allowed { Err(Error::limit(name, wanted, allowed)) } else { Ok(()) }
    }
}

impl Default for Limits {
    /// [`Limits::desktop`].
    fn default() -> Self {
        Self::desktop()
    }
}

/// Bytes one input may still take. A handle: clones share one count.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Account>);

struct Account {
    allowed: u64,
    taken: AtomicU64,
    reserve: Option<Reserve>,
}

/// Who is asked too: for more with a positive number of bytes, told of less with a negative one.
type Reserve = Box<dyn Fn(i64) -> Result<()> + Send + Sync>;

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.taken.load(Ordering::Relaxed), self.allowed)
    }
}

impl Budget {
    /// A budget of `allowed` bytes.
    #[must_use]
    pub fn new(allowed: u64) -> Self {
        Self(Arc::new(Account { allowed, taken: AtomicU64::new(0), reserve: None }))
    }

    /// A budget whose every change goes to `reserve` too: the host's, for a plugin.
    pub(crate) fn asking(allowed: u64, reserve: impl Fn(i64) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Account { allowed, taken: AtomicU64::new(0), reserve: Some(Box::new(reserve)) }))
    }

    /// Takes `bytes` before they are allocated.
    ///
    /// # Errors
    /// `Limit` with the name `alloc_bytes`; nothing is taken then.
    pub fn take(&self, bytes: u64) -> Result<()> {
        let account = &self.0;
        account
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(bytes).filter(|&sum| sum <= account.allowed)
            })
            .map_err(|taken| Error::limit("alloc_bytes", taken.saturating_add(bytes), account.allowed))?;
        let Some(reserve) = &account.reserve else { return Ok(()) };
        reserve(i64::try_from(bytes).unwrap_or(i64::MAX)).inspect_err(|_| self.forget(bytes))
    }

    /// Gives back what a finished chunk or a scratch buffer had taken.
    pub fn give_back(&self, bytes: u64) {
        self.forget(bytes);
        if let Some(reserve) = &self.0.reserve {
            // Less is never refused.
            let _ = reserve(i64::try_from(bytes).map_or(i64::MIN, i64::wrapping_neg));
        }
    }

    /// Takes `bytes` off the count, without a word to whoever else is asked.
    pub(crate) fn forget(&self, bytes: u64) {
        let _ =
            self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(taken.saturating_sub(bytes)));
    }

    /// Bytes taken and not given back.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Bytes allowed in all.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        self.0.allowed
    }

    /// An empty vector with room for `count` elements that a file announces, after three checks: the announced elements fit
    /// into the `bytes_left` of the input at `min_bytes` each (at least 1), and their memory fits into the budget.
    ///
    /// # Errors
    /// `Malformed` when the file is too short for its own count; `Limit` when the budget is.
    pub fn vec<T>(&self, what: &str, count: u64, min_bytes: u64, bytes_left: u64) -> Result<Vec<T>> {
        let needed = count.saturating_mul(min_bytes.max(1));
        if needed > bytes_left {
            return Err(Error::malformed(format!(
                "{count} {what} announced, which need at least {needed} bytes, but only {bytes_left} are left"
            ))
            .with_hint("the file is cut short or its count is wrong"));
        }
        self.take(count.saturating_mul(size_of::<T>() as u64))?;
        let count = usize::try_from(count).map_err(|_| Error::limit("elements", count, usize::MAX as u64))?;
        Ok(Vec::with_capacity(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_budget_never_gives_more_than_it_has() {
        let budget = Budget::new(100);
        assert!(budget.take(60).is_ok());
        assert_eq!(budget.take(41).unwrap_err().limit_name(), Some("alloc_bytes"));
        assert!(budget.take(u64::MAX).is_err(), "no overflow");
        assert_eq!(budget.taken(), 60);
        budget.give_back(60);
        assert!(budget.take(100).is_ok());
    }

    #[test]
    fn a_count_must_fit_the_bytes_that_are_left() {
        let budget = Budget::new(1 << 20);
        assert_eq!(budget.vec::<u32>("points", 10, 4, 40).unwrap().capacity(), 10);
        assert_eq!(budget.vec::<u32>("points", 11, 4, 40).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(budget.vec::<u32>("points", u64::MAX, 0, 40).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(budget.vec::<[u8; 4096]>("blocks", 300, 1, 300).unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn limits_are_known_by_name() {
        let mut limits = Limits::preset("untrusted").unwrap();
        for name in Limits::NAMES {
            assert!(limits.get(name).unwrap() <= Limits::desktop().get(name).unwrap(), "{name}");
            assert!(limits.set(name, 7) && limits.get(name) == Some(7));
        }
        assert!(!limits.set("no_such", 1) && limits.get("no_such").is_none());
    }
}
