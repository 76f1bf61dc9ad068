//! [`Error`] and [`abi::Failure`](Failure), both ways. The format and the path are the host's to add.
#![expect(unsafe_code, reason = "the text of a failure lies behind pointers of the other side")]

use std::fmt;

use super::abi::{
    Failure, Place, STATUS_CANCELLED, STATUS_IO, STATUS_LIMIT, STATUS_MALFORMED, STATUS_OPTION, STATUS_PLUGIN,
    STATUS_UNSUPPORTED, Str,
};
use super::raw;
use crate::error::{Error, ErrorKind, Location};
use crate::limits::Limits;

/// Bytes of a message, a hint or an element that are taken from the other side.
const LONGEST: usize = 16 << 10;

/// The status of an error of this kind.
#[must_use]
pub fn status(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::Io | ErrorKind::Locked => STATUS_IO,
        ErrorKind::Malformed | ErrorKind::NotRecognised => STATUS_MALFORMED,
        ErrorKind::Unsupported => STATUS_UNSUPPORTED,
        ErrorKind::Limit => STATUS_LIMIT,
        ErrorKind::InvalidOption | ErrorKind::Ambiguous => STATUS_OPTION,
        ErrorKind::Cancelled => STATUS_CANCELLED,
        ErrorKind::Plugin | ErrorKind::Worker => STATUS_PLUGIN,
    }
}

/// The kind of a status. What is no failure, and what is not known, breaks the contract: `Plugin`.
#[must_use]
pub fn kind(status: i32) -> ErrorKind {
    match status {
        STATUS_IO => ErrorKind::Io,
        STATUS_MALFORMED => ErrorKind::Malformed,
        STATUS_UNSUPPORTED => ErrorKind::Unsupported,
        STATUS_LIMIT => ErrorKind::Limit,
        STATUS_OPTION => ErrorKind::InvalidOption,
        STATUS_CANCELLED => ErrorKind::Cancelled,
        _ => ErrorKind::Plugin,
    }
}

/// Lends an error to the other side for the length of `call`.
pub fn lend<T>(error: &Error, call: impl FnOnce(&Failure) -> T) -> T {
    let (wanted, allowed) = error.limit_amounts().unwrap_or_default();
    call(&Failure {
        size: size_of::<Failure>() as u32,
        status: status(error.kind()),
        message: Str::of(error.message()),
        hint: Str::of(error.hint().unwrap_or_default()),
        place: lend_place(error.location()),
        limit: Str::of(error.limit_name().unwrap_or_default()),
        wanted,
        allowed,
    })
}

/// The error that the other side lends.
///
/// # Safety
/// `failure` is NULL or points to one, and its texts are there.
#[must_use]
pub unsafe fn read(failure: *const Failure) -> Error {
    // SAFETY: the caller's word.
    let Some(failure) = (unsafe { raw::sized(failure) }) else {
        return Error::new(ErrorKind::Plugin, "it failed without a word");
    };
    // SAFETY: the caller's word, for all four.
    let (message, hint, limit, location) = unsafe {
        (
            raw::text(failure.message, LONGEST),
            raw::text(failure.hint, LONGEST),
            raw::text(failure.limit, LONGEST),
            read_place(&failure.place),
        )
    };
    let limit = Limits::NAMES.iter().find(|name| **name == limit);
    let mut error = match (kind(failure.status), limit) {
        (ErrorKind::Limit, Some(limit)) => Error::limit(limit, failure.wanted, failure.allowed),
        (kind, _) => Error::new(kind, format!("it failed with status {} without a word", failure.status)),
    };
    if !message.is_empty() {
        error = error.saying(message);
    }
    if !hint.is_empty() {
        error = error.with_hint(hint);
    }
    let covered = failure.size as usize >= std::mem::offset_of!(Failure, limit);
    match location.filter(|_| covered) {
        Some(location) => error.at(location),
        None => error,
    }
}

/// A place on its way to the other side, for as long as `location` is there.
#[must_use]
pub fn lend_place(location: Option<&Location>) -> Place {
    let element = location.and_then(|location| location.element.as_deref());
    Place {
        byte: location.and_then(|location| location.byte).unwrap_or(u64::MAX),
        line: location.and_then(|location| location.line).unwrap_or(0),
        column: location.and_then(|location| location.column).unwrap_or(0),
        element: element.map_or(Str::EMPTY, Str::of),
    }
}

/// The place that the other side lends; `None` when it says nothing.
///
/// # Safety
/// The text of its element is there.
#[must_use]
pub unsafe fn read_place(place: &Place) -> Option<Location> {
    // SAFETY: the caller's word.
    let element = unsafe { raw::text(place.element, LONGEST) };
    let location = Location {
        byte: (place.byte != u64::MAX).then_some(place.byte),
        line: (place.line != 0).then_some(place.line),
        column: (place.column != 0).then_some(place.column),
        element: (!element.is_empty()).then(|| element.into_owned()),
    };
    (location != Location::default()).then_some(location)
}

/// What is below an error that the host reported: the host knows more about it than the plugin, which hands its status back.
#[derive(Debug)]
pub(super) struct OfHost(i32);

impl fmt::Display for OfHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} of the host", self.0)
    }
}

impl std::error::Error for OfHost {}

/// The error of a host function that failed.
pub(super) fn of_host(what: &str, status: i32) -> Error {
    Error::new(kind(status), format!("the host could not {what}")).caused_by(OfHost(status))
}

/// The status to hand back for an error that is the host's own.
pub(super) fn host_status(error: &Error) -> Option<i32> {
    std::error::Error::source(error)?.downcast_ref().map(|OfHost(status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(error: &Error) -> Error {
        // SAFETY: it is lent for the call.
        lend(error, |failure| unsafe { read(failure) })
    }

    #[test]
    fn an_error_comes_back_with_all_it_says() {
        let place = Location { byte: Some(0), line: Some(3), column: Some(4), element: Some("rows[2]".into()) };
        let error = Error::unsupported("expected é, found 2").with_hint("try again").at(place);
        let back = there_and_back(&error);
        assert_eq!(back.to_json(), error.to_json());
        let error = Error::limit("pixels", 9, 8).at_byte(7);
        let back = there_and_back(&error);
        assert_eq!(back.to_json(), error.to_json());
        assert_eq!((back.limit_name(), back.limit_amounts()), (Some("pixels"), Some((9, 8))));
        for status in -7..0 {
            assert_eq!(super::status(kind(status)), status);
        }
        assert_eq!((kind(-99), kind(0), kind(5)), (ErrorKind::Plugin, ErrorKind::Plugin, ErrorKind::Plugin));
    }

    #[test]
    fn a_short_silent_or_hostile_failure_is_still_an_error() {
        let mut failure = lend(&Error::malformed("x"), |failure| *failure);
        failure.message = Str { ptr: b"\xffx".as_ptr(), len: 2 };
        failure.hint = Str { ptr: std::ptr::null(), len: 5 };
        failure.limit = Str { ptr: b"x".as_ptr(), len: usize::MAX };
        // SAFETY: the texts are constants, or of lengths that are not followed.
        let error = unsafe { read(&raw const failure) };
        assert_eq!((error.kind(), error.message(), error.hint()), (ErrorKind::Malformed, "\u{fffd}x", None));
        failure.size = 8;
        // SAFETY: as above.
        let error = unsafe { read(&raw const failure) };
        assert_eq!((error.kind(), error.location()), (ErrorKind::Malformed, None));
        failure = Failure { size: failure.size, status: STATUS_LIMIT, message: Str::EMPTY, ..failure };
        // SAFETY: as above.
        assert_eq!(unsafe { read(&raw const failure) }.message(), "it failed with status -4 without a word");
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read(std::ptr::null()) }.kind(), ErrorKind::Plugin);
    }
}
