//! The functions of a loaded plugin, copied from its table once. What lies beyond the size that the table gives is not there.
#![expect(unsafe_code, reason = "reads a table that foreign code hands over; see the SAFETY notes")]

use std::mem::offset_of;
use std::ops::Deref;

use mediary_core::Result;
use mediary_core::plugin::abi::{self, ABI_MAJOR};
use mediary_core::plugin::raw;

use crate::inspect::refused;

/// What a plugin offers. Functions it does not have are `None`.
#[derive(Debug)]
pub(crate) struct Table(abi::Plugin);

impl Table {
    /// Copies the functions out of a table, which may be smaller or larger than ours.
    ///
    /// # Errors
    /// `Plugin` for NULL, another major number, a table without functions, or one that can open but not read.
    ///
    /// # Safety
    /// `table` is NULL, or points to as many bytes as its `size` says; its functions are those of the interface, and stay.
    pub(crate) unsafe fn take(table: *const abi::Plugin) -> Result<Self> {
        if !table.is_aligned() {
            return Err(refused("the plugin's table is not aligned"));
        }
        // SAFETY: the caller's word.
        let Some(table) = (unsafe { raw::sized(table) }) else {
            return Err(refused("the plugin declines: its entry gave no table"));
        };
        if table.major != ABI_MAJOR {
            return Err(refused(format!(
                "incompatible plugin: mediary has plugin interface {ABI_MAJOR}, the plugin's table is of {}",
                table.major
            )));
        }
        if (table.size as usize) < offset_of!(abi::Plugin, probe) + size_of::<usize>() {
            return Err(refused(format!("the plugin's table has {} bytes, which hold no function", table.size)));
        }
        if table.open.is_some() && (table.next.is_none() || table.close.is_none()) {
            return Err(refused("the plugin's table has `open` but not both `next` and `close`"));
        }
        Ok(Self(table))
    }
}

impl Deref for Table {
    type Target = abi::Plugin;

    fn deref(&self) -> &abi::Plugin {
        &self.0
    }
}
