//! Lists that several threads fill.

use mediary_core::{Context, Result};

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
