//! [`Packing`]: a compression around a whole input, such as gzip, that is taken off before formats look at it. Core knows none
//! itself.

use std::cell::RefCell;
use std::io::{self, Read};

use crate::context::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Signature;
use crate::limits::Limits;
use crate::source::Source;

/// A compression around a whole input.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// Its name in messages: `gzip`.
    pub name: &'static str,
    /// Its file name endings without the dot, lower case.
    pub extensions: &'static [&'static str],
    /// Signatures, of which every packed input has one. Long ones: what has it and is of no format is no longer seen as it stands.
    pub signatures: &'static [Signature],
    /// Takes it off: a reader of what is inside, which fails on broken data.
    pub unpack: for<'r> fn(Box<dyn Read + 'r>) -> Box<dyn Read + 'r>,
}

/// A built-in packing, as `inventory` collects it. Use [`register_packing!`](crate::register_packing).
pub struct BuiltInPacking(#[doc(hidden)] pub &'static Packing);

inventory::collect!(BuiltInPacking);

/// Registers a [`Packing`] for [`Registry::builtin`](crate::Registry::builtin).
#[macro_export]
macro_rules! register_packing {
    ($packing:expr) => {
        $crate::__private::inventory::submit! { $crate::BuiltInPacking($packing) }
    };
}

/// Bytes that a packed input may always become, however small it is: 16 MiB.
const FREE: u64 = 16 << 20;

impl Packing {
    /// What is inside of `source`, under its name without the ending of the packing. It has no siblings.
    ///
    /// # Errors
    /// `Malformed` for broken data; `Limit` when it is more than `input_bytes` or `expansion_ratio` allow; `Cancelled`; `Io`.
    pub(crate) fn open(&self, source: &Source, limits: &Limits, cancel: &Cancel) -> Result<Source> {
        let failure = RefCell::new(None);
        let inside = (self.unpack)(Box::new(source.reader()));
        let most = source.len().saturating_mul(limits.expansion_ratio).max(FREE);
        let guarded = Guarded { inside, given: 0, most, packing: self, limits, cancel, failure: &failure };
        let unpacked = Source::from_reader(self.inner_name(source.name()), guarded, limits);
        unpacked.map_err(|error| failure.take().unwrap_or(error))
    }

    /// `x.sdf` of `x.sdf.gz`.
    fn inner_name<'n>(&self, name: &'n str) -> &'n str {
        let stem = |extension: &str| {
            let at = name.len().checked_sub(extension.len() + 1)?;
            name.get(at..)?.strip_prefix('.').filter(|end| end.eq_ignore_ascii_case(extension)).map(|_| &name[..at])
        };
        self.extensions.iter().find_map(|extension| stem(extension)).unwrap_or(name)
    }
}

/// The inside, held to the limits, with failures as errors of ours.
struct Guarded<'r> {
    inside: Box<dyn Read + 'r>,
    given: u64,
    most: u64,
    packing: &'r Packing,
    limits: &'r Limits,
    cancel: &'r Cancel,
    failure: &'r RefCell<Option<Error>>,
}

impl Guarded<'_> {
    fn fail(&self, error: Error) -> io::Error {
        *self.failure.borrow_mut() = Some(error);
        io::Error::other("unpacking failed")
    }
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(self.fail(Error::new(ErrorKind::Cancelled, "cancelled")));
        }
        let read = match self.inside.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let name = self.packing.name;
                return Err(self.fail(
                    Error::malformed(format!("the {name} data is broken: {error}"))
                        .with_hint("the file may be cut short: fetch or copy it again"),
                ));
            }
        };
        self.given += read as u64;
        if self.given > self.most {
            let ratio = self.most / self.limits.expansion_ratio.max(1);
            let ratio = self.given.div_ceil(ratio.max(1));
            return Err(self.fail(Error::limit("expansion_ratio", ratio, self.limits.expansion_ratio)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{ReadOptions, Registry};

    /// Every byte twice: a bomb of ratio 2, which a stray byte breaks.
    fn doubled<'r>(inside: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
        struct Doubled<'r>(Box<dyn Read + 'r>, Option<u8>);
        impl Read for Doubled<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let mut byte = [0];
                for (index, slot) in buffer.iter_mut().enumerate() {
                    *slot = match self.1.take() {
                        Some(again) => again,
                        None if self.0.read(&mut byte)? == 0 => return Ok(index),
                        None if byte[0] == 0xFF => return Err(io::Error::other("a stray byte")),
                        None => *self.1.insert(byte[0]),
                    };
                }
                Ok(buffer.len())
            }
        }
        Box::new(Doubled(inside, None))
    }

    const DOUBLED: Packing = Packing {
        name: "doubling",
        extensions: &["dbl"],
        signatures: &[Signature { offset: 0, bytes: b"DD", mask: &[] }],
        unpack: doubled,
    };

    fn open(bytes: Vec<u8>, limits: Limits) -> Result<Source> {
        DOUBLED.open(&Source::from_bytes("x.txt.DBL", bytes), &limits, &Cancel::default())
    }

    #[test]
    fn the_inside_has_the_name_without_the_ending() {
        let source = open(b"DDab".to_vec(), Limits::default()).unwrap();
        assert_eq!((source.name(), source.head()), ("x.txt", &b"DDDDaabb"[..]));
        assert_eq!(DOUBLED.inner_name("dbl"), "dbl");
        assert_eq!(DOUBLED.inner_name("ä.dbl"), "ä");
    }

    #[test]
    fn broken_data_and_bombs_are_errors() {
        let error = open(b"DD\xFF".to_vec(), Limits::default()).err().unwrap();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Malformed, "the doubling data is broken: a stray byte")
        );
        let limits = Limits { expansion_ratio: 1, ..Limits::default() };
        let bomb = vec![b'D'; FREE as usize];
        let error = open(bomb.clone(), limits).err().unwrap();
        assert_eq!(error.limit_name(), Some("expansion_ratio"), "{error}");
        let limits = Limits { input_bytes: 1000, ..Limits::default() };
        let error = open(bomb, limits).err().unwrap();
        assert_eq!(error.limit_name(), Some("input_bytes"), "{error}");
        let cancel = Cancel::default();
        cancel.cancel();
        let cancelled = DOUBLED.open(&Source::from_bytes("", *b"DD"), &Limits::default(), &cancel);
        assert_eq!(cancelled.err().unwrap().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn what_no_format_recognises_is_unpacked() {
        let mut registry = Registry::empty();
        registry.add_packing(&DOUBLED);
        let error = registry.open(&Source::from_bytes("x", *b"DD\xFF"), &ReadOptions::default()).err().unwrap();
        assert!(error.message().contains("a stray byte"), "{error}");
        let error = registry.open(&Source::from_bytes("x", *b"DDD"), &ReadOptions::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotRecognised);
    }
}
