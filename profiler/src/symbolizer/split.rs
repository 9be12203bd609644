//! Split debug information: units in `.dwo` files, or in a package of them (`.dwp`) beside the executable.

use super::elf::{self, Reader};
use gimli::{Dwarf, DwarfPackage, EndianSlice, LittleEndian, SectionId, Unit};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// The files with split units. What they contain is leaked: few programs have them, and the process that reads them is
/// short-lived.
pub(super) struct SplitFiles {
    /// The executable, or the debug file.
    path: PathBuf,
    package: OnceCell<Option<DwarfPackage<Reader<'static>>>>,
}

impl SplitFiles {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            package: OnceCell::new(),
        }
    }

    /// The debug information that the skeleton of a unit refers to.
    pub(super) fn open<'a>(
        &self,
        parent: &Dwarf<Reader<'a>>,
        skeleton: &Unit<Reader<'a>>,
    ) -> Option<Dwarf<Reader<'a>>>
    where
        'static: 'a,
    {
        let path = &self.path;
        let package = self.package.get_or_init(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(".dwp");
            let elf = open(Path::new(&name))?;
            let empty = EndianSlice::new(&[], LittleEndian);
            let load = |id: SectionId| Ok::<_, gimli::Error>(section(&elf, id));
            DwarfPackage::load(load, empty).ok()
        });
        if let (Some(package), Some(id)) = (package, skeleton.dwo_id) {
            // The package outlives every reader, so it is one of this lifetime as well.
            let package: &DwarfPackage<Reader<'a>> = package;
            if let Ok(Some(found)) = package.find_cu(id, parent) {
                return Some(found);
            }
        }
        let name = skeleton.dwo_name().ok()??;
        let name = parent.attr_string(skeleton, name).ok()?;
        let name = name.to_string_lossy().into_owned();
        let folder = skeleton.comp_dir.as_ref();
        let folder = folder.map_or(String::new(), |text| text.to_string_lossy().into_owned());
        let elf = open(&Path::new(&folder).join(name))?;
        let mut dwarf = Dwarf::load(|id| Ok::<_, gimli::Error>(section(&elf, id))).ok()?;
        dwarf.make_dwo(parent);
        Some(dwarf)
    }
}

fn open(path: &Path) -> Option<elf::Elf<'static>> {
    let map = elf::map(path).ok()?;
    elf::parse(Box::leak(Box::new(map))).ok()
}

fn section(elf: &elf::Elf<'static>, id: SectionId) -> Reader<'static> {
    let name = id.dwo_name().unwrap_or(id.name());
    let data: &'static [u8] = match elf::section(elf, name) {
        elf::Section::Mapped(bytes) => bytes,
        elf::Section::Decompressed(bytes) => Vec::leak(bytes),
    };
    EndianSlice::new(data, LittleEndian)
}
