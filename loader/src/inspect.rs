//! What a plugin file says about itself, read from its sections: nothing of it is loaded or run.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use mediary_core::plugin::Manifest;
use mediary_core::plugin::abi::{self, ABI_MAJOR, STAMP_MAGIC};
use mediary_core::{Error, ErrorKind, Result};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use object::{Architecture, BinaryFormat, FileKind, Object, ObjectSection, elf};

/// Bytes of a stamp that are read; longer ones are of a later minor number.
const STAMP_BYTES: u64 = 4 << 10;
/// Bytes a manifest may have.
const MANIFEST_BYTES: u64 = 1 << 20;
/// Bytes a plugin may have: it is copied into memory before it is loaded.
pub(crate) const PLUGIN_BYTES: u64 = 1 << 30;
/// Bytes of a stamp up to and with `flags`: what every stamp has.
const STAMP_CORE: usize = std::mem::offset_of!(abi::Stamp, builder);

/// A plugin file that can be loaded, as far as its stamp and its manifest tell.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspected {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Minor number of the binary interface it was built for.
    pub minor: u16,
    /// Whether its panics are caught inside it.
    pub catches_panics: bool,
    /// What built it, for people.
    pub builder: String,
    /// What it offers.
    pub manifest: Manifest,
    metadata: Metadata,
}

impl Inspected {
    /// Whether `file` is still what was looked at, as far as the file system tells.
    pub(crate) fn is_still(&self, file: &Metadata) -> bool {
        file.len() == self.bytes && file.modified().ok() == self.metadata.modified().ok()
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Reads stamp and manifest of a plugin file.
///
/// # Errors
/// `Plugin` when it is none, or none for this program and this machine; `Io` when it cannot be read.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspected> {
    let path = path.as_ref();
    look(path).map_err(|error| error.with_path(path.display().to_string()))
}

/// [`inspect`], for who names the file in errors in a way of its own.
pub(crate) fn look(path: &Path) -> Result<Inspected> {
    // Before it is opened: opening a FIFO waits for its other end.
    let metadata = path.metadata().map_err(unreadable)?;
    regular(&metadata)?;
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    regular(&metadata)?;
    let cache = ReadCache::new(file);
    let (stamp, manifest) = sections(&cache, metadata.len())?;
    let stamp = Stamp::parse(stamp)?;
    Ok(Inspected {
        path: path.to_owned(),
        bytes: metadata.len(),
        minor: stamp.minor,
        catches_panics: stamp.flags & abi::FLAG_CATCHES_PANICS != 0,
        builder: stamp.builder,
        manifest: Manifest::parse(manifest)?,
        metadata,
    })
}

fn unreadable(error: std::io::Error) -> Error {
    Error::io("cannot open the plugin", error)
}

/// A file that is not loaded, and why.
pub(crate) fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, why)
}

fn cut(what: &str) -> Error {
    refused(format!("the file is truncated: {what} lies beyond its end")).with_hint("copy or build it again")
}

fn no_stamp() -> Error {
    refused(format!("not a mediary plugin: no {} section", abi::STAMP_SECTION))
        .with_hint("a plugin is built with `mediary_core::export_plugin!` or with mediary_plugin.h")
}

pub(crate) fn regular(metadata: &Metadata) -> Result<()> {
    if metadata.is_dir() {
        return Err(refused("expected a plugin file, found a directory"));
    }
    if !metadata.is_file() {
        return Err(refused("expected a regular file, found a device, a socket or a FIFO"));
    }
    if metadata.len() == 0 {
        return Err(refused("the file is empty"));
    }
    if metadata.len() > PLUGIN_BYTES {
        return Err(refused(format!("the file has {} bytes, a plugin has at most {PLUGIN_BYTES}", metadata.len())));
    }
    Ok(())
}

/// Stamp and manifest, as bytes.
fn sections(data: &ReadCache<File>, len: u64) -> Result<(&[u8], &[u8])> {
    let magic = data.read_bytes_at(0, len.min(4)).map_err(|()| cut("its first bytes"))?;
    let kind = match FileKind::parse(data) {
        Ok(kind) => kind,
        Err(_) if magic == elf::ELFMAG => return Err(cut("its header")),
        Err(_) => return Err(refused("not a shared library: neither ELF nor Mach-O nor PE")),
    };
    let (format, name) = match kind {
        FileKind::Elf32 | FileKind::Elf64 => (BinaryFormat::Elf, "an ELF"),
        FileKind::MachO32 | FileKind::MachO64 => (BinaryFormat::MachO, "a Mach-O"),
        FileKind::Pe32 | FileKind::Pe64 => (BinaryFormat::Pe, "a PE"),
        _ => return Err(refused("not a shared library: neither ELF nor Mach-O nor PE")),
    };
    let native = BinaryFormat::native_object();
    let native = if native == BinaryFormat::Coff { BinaryFormat::Pe } else { native };
    if format != native {
        return Err(refused(format!("it is {name} file, this system loads {native:?} files")));
    }
    match kind {
        FileKind::Elf32 => elf_sections::<elf::FileHeader32<object::Endianness>>(data, len),
        FileKind::Elf64 => elf_sections::<elf::FileHeader64<object::Endianness>>(data, len),
        _ => other_sections(data),
    }
}

/// Reads the section headers alone: symbols, of which there are many, stay on the disk.
fn elf_sections<Elf>(data: &ReadCache<File>, len: u64) -> Result<(&[u8], &[u8])>
where
    Elf: FileHeader<Endian = object::Endianness>,
{
    let header = Elf::parse(data).map_err(|_| cut("its header"))?;
    let endian = header.endian().map_err(|error| refused(format!("broken ELF header: {error}")))?;
    machine(header.e_machine(endian), header.is_type_64(), endian)?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(refused("not a shared library: an ELF file of another type, such as an object file"));
    }
    let (offset, count): (u64, u16) = (header.e_shoff(endian).into(), header.e_shnum(endian));
    if offset == 0 || count == 0 {
        return Err(no_stamp());
    }
    let size = u64::from(count) * u64::from(header.e_shentsize(endian));
    if offset.checked_add(size).is_none_or(|end| end > len) {
        return Err(cut("its section table"));
    }
    let programs = header.program_headers(endian, data).map_err(|_| cut("its program table"))?;
    for program in programs {
        let (offset, size) = program.file_range(endian);
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(cut("a segment"));
        }
    }
    let table = header.sections(endian, data).map_err(|error| refused(format!("broken section table: {error}")))?;
    let section = |name: &str, most: u64| {
        let Some((_, section)) = table.section_by_name(endian, name.as_bytes()) else { return Ok(None) };
        let Some((offset, size)) = section.file_range(endian) else { return Ok(None) };
        bounded(name, size, most)?;
        data.read_bytes_at(offset, size).map(Some).map_err(|()| cut(&format!("section {name}")))
    };
    let stamp = section(abi::STAMP_SECTION, STAMP_BYTES)?.ok_or_else(no_stamp)?;
    Ok((stamp, section(abi::MANIFEST_SECTION, MANIFEST_BYTES)?.ok_or_else(no_manifest)?))
}

/// Mach-O and PE. Section names have up to 16 bytes in the one and, with some linkers, 8 in the other.
fn other_sections(data: &ReadCache<File>) -> Result<(&[u8], &[u8])> {
    let file = object::File::parse(data).map_err(|error| refused(format!("broken file: {error}")))?;
    let (machine, here) = (file.architecture(), native_architecture());
    if Some(machine) != here {
        return Err(foreign(&format!("{machine:?}").to_lowercase()));
    }
    let section = |names: [&str; 3], most: u64| {
        let Some(section) = names.iter().find_map(|name| file.section_by_name(name)) else { return Ok(None) };
        bounded(names[0], section.size(), most)?;
        section.data().map(Some).map_err(|_| cut(&format!("section {}", names[0])))
    };
    let stamp = section([abi::STAMP_SECTION, "__mediary_abi", ".medabi"], STAMP_BYTES)?.ok_or_else(no_stamp)?;
    let manifest = section([abi::MANIFEST_SECTION, "__mediary_man", ".medman"], MANIFEST_BYTES)?;
    Ok((stamp, manifest.ok_or_else(no_manifest)?))
}

fn no_manifest() -> Error {
    refused(format!("it has a stamp but no manifest: no {} section", abi::MANIFEST_SECTION))
}

fn bounded(name: &str, size: u64, most: u64) -> Result<()> {
    if size > most {
        return Err(refused(format!("section {name} has {size} bytes, expected at most {most}")));
    }
    Ok(())
}

fn native_architecture() -> Option<Architecture> {
    Some(match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "x86" => Architecture::I386,
        "aarch64" => Architecture::Aarch64,
        "arm" => Architecture::Arm,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "loongarch64" => Architecture::LoongArch64,
        _ => return None,
    })
}

fn foreign(machine: &str) -> Error {
    let here = std::env::consts::ARCH;
    refused(format!("built for {machine}, this is {here}")).with_hint(format!("build the plugin for {here}"))
}

/// Refuses ELF files of another machine.
fn machine(machine: elf::Machine, wide: bool, endian: object::Endianness) -> Result<()> {
    let known = [
        (elf::EM_X86_64, "x86_64"),
        (elf::EM_386, "x86"),
        (elf::EM_AARCH64, "aarch64"),
        (elf::EM_ARM, "arm"),
        (elf::EM_RISCV, "riscv64"),
        (elf::EM_PPC64, "powerpc64"),
        (elf::EM_S390, "s390x"),
        (elf::EM_LOONGARCH, "loongarch64"),
    ];
    let name = known.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    let here = std::env::consts::ARCH;
    match name {
        Some(name) if name != here => return Err(foreign(name)),
        None if known.iter().any(|(_, name)| *name == here) => {
            return Err(foreign(&format!("machine {}", machine.0)));
        }
        _ => {}
    }
    if wide != cfg!(target_pointer_width = "64") {
        return Err(foreign(if wide { "64 bits" } else { "32 bits" }));
    }
    if (endian == object::Endianness::Big) != cfg!(target_endian = "big") {
        return Err(refused("built for the other byte order"));
    }
    Ok(())
}

struct Stamp {
    minor: u16,
    flags: u32,
    builder: String,
}

impl Stamp {
    /// Byte order is that of this machine: the file is of its kind.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(refused(format!("its stamp ends early: expected {STAMP_CORE} bytes, found {}", bytes.len())));
        };
        if *magic != STAMP_MAGIC {
            return Err(refused(format!(
                "its stamp starts with \"{}\", expected \"{}\"",
                magic.escape_ascii(),
                STAMP_MAGIC.escape_ascii()
            )));
        }
        let u32_at = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let u16_at = |at: usize| rest.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes);
        let fields = (u32_at(0), u16_at(4), u16_at(6), u32_at(8), u32_at(12));
        let (Some(size), Some(major), Some(minor), Some(pointer_bits), Some(flags)) = fields else {
            return Err(refused(format!("its stamp ends early: expected {STAMP_CORE} bytes, found {}", bytes.len())));
        };
        if major != ABI_MAJOR {
            let remedy =
                if major > ABI_MAJOR { "use a newer mediary, or a" } else { "build the plugin again, or use a" };
            return Err(refused(format!(
                "incompatible plugin: mediary has plugin interface {ABI_MAJOR}, the file is built for {major}.{minor}"
            ))
            .with_hint(format!("{remedy} plugin built for interface {ABI_MAJOR}")));
        }
        if (size as usize) < STAMP_CORE {
            return Err(refused(format!("its stamp says it has {size} bytes, expected at least {STAMP_CORE}")));
        }
        if pointer_bits != usize::BITS {
            return Err(refused(format!(
                "incompatible plugin: mediary has pointers of {} bits, the file is built for {pointer_bits}",
                usize::BITS
            )));
        }
        let builder = bytes.get(STAMP_CORE..).unwrap_or_default();
        let builder = &builder[..builder.len().min(64).min(size as usize - STAMP_CORE)];
        let builder = builder.split(|&byte| byte == 0).next().unwrap_or_default();
        let builder: String = String::from_utf8_lossy(builder).chars().filter(|c| !c.is_control()).collect();
        Ok(Self { minor, flags, builder })
    }
}
