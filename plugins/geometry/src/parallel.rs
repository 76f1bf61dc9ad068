//! Lists that several threads fill, and lines that they share out.

use mediary_core::{Context, Result};

use crate::text::line_parts;

/// Values that one thread takes at a time.
const CHUNK: usize = 1 << 16;

/// The lists, end to end.
///
/// # Errors
/// `Limit` for more bytes than the budget holds, `Cancelled`.
pub(crate) fn joined<T: Copy + Default + Send>(mut lists: Vec<Vec<T>>, cx: &Context) -> Result<Vec<T>> {
    lists.retain(|list| !list.is_empty());
    if lists.len() < 2 {
        return Ok(lists.pop().unwrap_or_default());
    }
    let total = lists.iter().map(Vec::len).sum::<usize>();
    let bytes = (total * size_of::<T>()) as u64;
    cx.budget().take(bytes)?;
    let mut all = vec![T::default(); total];
    let mut rest = &mut all[..];
    let parts = lists.into_iter().map(|list| (rest.split_off_mut(..list.len()), list)).collect();
    cx.in_parts(parts, |(part, list): (Option<&mut [T]>, _), cx| {
        if let Some(part) = part {
            part.copy_from_slice(&list);
        }
        cx.checkpoint().map(|()| ((), 0))
    })?;
    // What was joined is gone, and was of the same size.
    cx.budget().give_back(bytes);
    Ok(all)
}

/// What stands for each of `keys`.
///
/// # Errors
/// `Cancelled`, `Limit` of the time.
pub(crate) fn gathered<K: Copy + Sync, T: Clone + Default + Send>(
    keys: &[K],
    cx: &Context,
    value: impl Fn(K) -> T + Sync,
) -> Result<Vec<T>> {
    let mut values = vec![T::default(); keys.len()];
    let parts = keys.chunks(CHUNK).zip(values.chunks_mut(CHUNK)).collect();
    cx.in_parts(parts, |(keys, values), cx| {
        values.iter_mut().zip(keys).for_each(|(slot, &key)| *slot = value(key));
        cx.checkpoint().map(|()| ((), 0))
    })?;
    Ok(values)
}

/// Bytes of text that threads share out at a time: what is odd about them makes them be looked at twice.
pub(crate) const TEXT: usize = 4 << 20;

/// What was made of lines.
pub(crate) struct Taken<T> {
    /// In the order of the lines.
    pub(crate) parts: Vec<T>,
    /// Bytes they stand for.
    pub(crate) bytes: usize,
    /// Bytes that were looked at: before their end, the general way is the one to go.
    pub(crate) seen: usize,
}

/// What `take` makes of whole lines at the start of `text`, at most so many and [`TEXT`] of them. It says how many bytes it
/// has taken; where that is not all of its part, the parts behind are dropped.
///
/// # Errors
/// `Cancelled`, `Limit` of the time.
pub(crate) fn of_lines<T: Send>(
    text: &[u8],
    most: usize,
    cx: &Context,
    take: impl Fn(&[u8]) -> (T, usize) + Sync,
) -> Result<Taken<T>> {
    let parts = line_parts(&text[..text.len().min(TEXT)], most, cx.threads());
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let found = cx.in_parts(parts, |part, cx| {
        cx.checkpoint()?;
        Ok((take(part), 0))
    })?;
    Ok(Taken::of(found, lengths))
}

impl<T> Taken<T> {
    /// Of parts in order, each with the bytes taken of it, and of their lengths.
    pub(crate) fn of(found: Vec<(T, usize)>, lengths: Vec<usize>) -> Self {
        let mut taken = Self { parts: Vec::with_capacity(found.len()), bytes: 0, seen: lengths.iter().sum() };
        for ((part, bytes), length) in found.into_iter().zip(lengths) {
            taken.parts.push(part);
            taken.bytes += bytes;
            if bytes < length {
                break;
            }
        }
        taken
    }
}
