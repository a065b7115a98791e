//! What clang made of `ipip.bpf.c`: an ELF file of programs, the maps that they name, and where.
//!
//! Only what that one file needs is read: sections by name, symbols, and relocations of 64-bit map addresses
//! (<https://www.kernel.org/doc/html/latest/bpf/llvm_reloc.html>). All is checked, nothing panics. It takes the
//! place of a loader crate: 23 crates, 20 ms and 21 MB a load (aya, which reads the kernel's own types first)
//! against nothing, 1 ms and the programs themselves.

use crate::sys::bpf::{INSTRUCTION_LEN, MapSpec};

/// Programs and maps, as the file has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) license: String,
    pub(super) maps: Vec<MapSpec>,
    pub(super) programs: Vec<Code>,
}

/// One program; its maps are still to be named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// The section's name behind "tc/".
    pub(super) name: String,
    instructions: Vec<u8>,
    /// Where a map is named: the instruction's place in octets, and which map.
    uses: Vec<(usize, usize)>,
}

/// What is wrong with the file, a clause for people.
pub(super) type Damaged = &'static str;

/// What programs are in, with their name behind it.
const PROGRAM: &str = "tc/";
/// A section with the relocations of another, whose name stands behind it.
const RELOCATIONS: &str = ".rel";
/// Octets of a map's description in section "maps": five numbers.
const MAP_LEN: usize = 20;
/// The relocation of a 64-bit immediate operand, `R_BPF_64_64`.
const TO_MAP: u64 = 1;
/// The instruction that loads it, in two parts of 8 octets each: `BPF_LD | BPF_IMM | BPF_DW`.
const LOAD_64: u8 = 0x18;
/// What says in such an instruction that it holds a map's number: `BPF_PSEUDO_MAP_FD`, in the upper half of
/// the octet of registers.
const MAP_NUMBER: u8 = 0x10;

impl Code {
    /// The instructions with each map's number, `numbers` in the order of the object's maps.
    pub(super) fn with_maps(&self, numbers: &[u32]) -> Result<Vec<u8>, Damaged> {
        let mut instructions = self.instructions.clone();
        for (at, map) in &self.uses {
            let number = numbers.get(*map).ok_or("a map without a number")?;
            let place = instructions
                .get_mut(*at..)
                .ok_or("a map named behind the end")?;
            let [LOAD_64, registers, _, _, operand @ ..] = place else {
                return Err("a map named by another instruction than a load");
            };
            *registers = (*registers & 0x0f) | MAP_NUMBER;
            let operand = operand.first_chunk_mut().ok_or("half an instruction")?;
            *operand = number.to_le_bytes();
        }
        Ok(instructions)
    }
}

impl Object {
    /// Reads an object for a little-endian machine.
    pub(super) fn parse(file: &[u8]) -> Result<Self, Damaged> {
        // Magic number, 64 bits, little-endian, version 1; and behind: relocatable, for BPF.
        if !file.starts_with(b"\x7fELF\x02\x01\x01") || u32_at(file, 16) != Some(247 << 16 | 1) {
            return Err("it is no object of BPF programs");
        }
        let sections = sections(file)?;
        let symbols = symbols(&sections)?;
        let maps_at = sections.iter().position(|section| section.name == "maps");
        let maps_at = maps_at.ok_or("it has no section maps")?;
        let maps = maps(&sections, &symbols, maps_at)?;
        let mut programs = Vec::new();
        for section in &sections {
            let Some(name) = section.name.strip_prefix(PROGRAM) else {
                continue;
            };
            if section.octets.is_empty() || !section.octets.len().is_multiple_of(INSTRUCTION_LEN) {
                return Err("a program is no whole number of instructions");
            }
            programs.push(Code {
                name: name.to_owned(),
                instructions: section.octets.to_vec(),
                uses: uses(&sections, &symbols, section.name, maps_at)?,
            });
        }
        let license = sections.iter().find(|section| section.name == "license");
        let license = text_at(license.ok_or("it has no licence")?.octets, 0)?;
        Ok(Self {
            license: license.to_owned(),
            maps,
            programs,
        })
    }
}

struct Section<'a> {
    name: &'a str,
    octets: &'a [u8],
    /// `SHT_*`.
    kind: u32,
    /// The section with the names of its symbols.
    link: usize,
}

const SYMBOL_TABLE: u32 = 2;

fn sections(file: &[u8]) -> Result<Vec<Section<'_>>, Damaged> {
    const HEADER_LEN: usize = 64;
    let broken = "its list of sections is damaged";
    let table = size_at(file, 40)
        .and_then(|at| file.get(at..))
        .ok_or(broken)?;
    let count = usize::from(u16_at(file, 60).ok_or(broken)?);
    let names = usize::from(u16_at(file, 62).ok_or(broken)?);
    let header = |number: usize| table.chunks_exact(HEADER_LEN).nth(number).ok_or(broken);
    let octets = |header: &[u8]| {
        let (at, len) = (size_at(header, 24)?, size_at(header, 32)?);
        file.get(at..at.checked_add(len)?)
    };
    let names = octets(header(names)?).ok_or(broken)?;
    let section = |number| {
        let header = header(number)?;
        Ok(Section {
            name: text_at(names, u32_at(header, 0).ok_or(broken)?)?,
            octets: octets(header).ok_or(broken)?,
            kind: u32_at(header, 4).ok_or(broken)?,
            link: usize::try_from(u32_at(header, 40).ok_or(broken)?).map_err(|_| broken)?,
        })
    };
    (0..count).map(section).collect()
}

struct Symbol<'a> {
    name: &'a str,
    section: usize,
    /// Where in the section, in octets.
    at: usize,
}

fn symbols<'a>(sections: &[Section<'a>]) -> Result<Vec<Symbol<'a>>, Damaged> {
    const SYMBOL_LEN: usize = 24;
    let broken = "its list of symbols is damaged";
    let table = sections.iter().find(|section| section.kind == SYMBOL_TABLE);
    let table = table.ok_or("it has no symbols")?;
    let names = sections.get(table.link).ok_or(broken)?.octets;
    let symbol = |entry: &[u8]| {
        Ok(Symbol {
            name: text_at(names, u32_at(entry, 0).ok_or(broken)?)?,
            section: usize::from(u16_at(entry, 6).ok_or(broken)?),
            at: size_at(entry, 8).ok_or(broken)?,
        })
    };
    table.octets.chunks_exact(SYMBOL_LEN).map(symbol).collect()
}

/// The maps, in the order in which they are described.
fn maps(
    sections: &[Section<'_>],
    symbols: &[Symbol<'_>],
    at: usize,
) -> Result<Vec<MapSpec>, Damaged> {
    let described = sections.get(at).map_or(&[][..], |section| section.octets);
    let map = |(number, octets): (usize, &[u8])| {
        let place = number * MAP_LEN;
        let named = symbols
            .iter()
            .find(|symbol| symbol.section == at && symbol.at == place);
        let field = |number: usize| u32_at(octets, number * 4).ok_or("half a map");
        Ok(MapSpec {
            name: named.ok_or("a map without a name")?.name.to_owned(),
            kind: field(0)?,
            key_len: field(1)?,
            value_len: field(2)?,
            entries: field(3)?,
            flags: field(4)?,
        })
    };
    described.chunks(MAP_LEN).enumerate().map(map).collect()
}

/// Where the program in the section `name` names which map.
fn uses(
    sections: &[Section<'_>],
    symbols: &[Symbol<'_>],
    name: &str,
    maps_at: usize,
) -> Result<Vec<(usize, usize)>, Damaged> {
    const RELOCATION_LEN: usize = 16;
    let broken = "a list of relocations is damaged";
    let of_it = |section: &&Section<'_>| section.name.strip_prefix(RELOCATIONS) == Some(name);
    let table = sections
        .iter()
        .find(of_it)
        .map_or(&[][..], |section| section.octets);
    let one = |entry: &[u8]| {
        let (at, info) = (
            size_at(entry, 0).ok_or(broken)?,
            u64_at(entry, 8).ok_or(broken)?,
        );
        let symbol = usize::try_from(info >> 32)
            .ok()
            .and_then(|number| symbols.get(number));
        let symbol = symbol.ok_or(broken)?;
        if info & 0xffff_ffff != TO_MAP
            || symbol.section != maps_at
            || !symbol.at.is_multiple_of(MAP_LEN)
        {
            return Err("a program names something that is no map");
        }
        Ok((at, symbol.at / MAP_LEN))
    };
    table.chunks_exact(RELOCATION_LEN).map(one).collect()
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*octets.get(at..)?.first_chunk()?))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*octets.get(at..)?.first_chunk()?))
}

fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*octets.get(at..)?.first_chunk()?))
}

fn size_at(octets: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(octets, at)?).ok()
}

/// A text that ends with a zero.
fn text_at(octets: &[u8], at: u32) -> Result<&str, Damaged> {
    let broken = "a name is damaged";
    let from = usize::try_from(at)
        .ok()
        .and_then(|at| octets.get(at..))
        .ok_or(broken)?;
    let end = from.iter().position(|octet| *octet == 0).ok_or(broken)?;
    std::str::from_utf8(from.get(..end).unwrap_or_default()).map_err(|_| broken)
}

#[cfg(test)]
mod tests {
    use super::super::OBJECT;
    use super::*;

    #[test]
    fn the_object_has_both_programs_and_their_maps() {
        let object = Object::parse(OBJECT).unwrap();
        let programs: Vec<_> = object
            .programs
            .iter()
            .map(|code| code.name.as_str())
            .collect();
        assert_eq!(programs, ["out", "in"]);
        let maps: Vec<_> = object
            .maps
            .iter()
            .map(|map| (map.name.as_str(), map.kind))
            .collect();
        let expected = [
            ("peers", 11),
            ("nodes", 1),
            ("settings", 2),
            ("identifications", 2),
            ("counters", 6),
        ];
        assert_eq!(maps, expected);
        assert_eq!(object.license, "Dual MIT/GPL");
    }

    #[test]
    fn each_use_of_a_map_gets_its_number() {
        let object = Object::parse(OBJECT).unwrap();
        for code in &object.programs {
            let patched = code.with_maps(&[11, 12, 13, 14, 15]).unwrap();
            assert!(!code.uses.is_empty());
            for (at, map) in &code.uses {
                let operand = patched[at + 4..at + 8].try_into().unwrap();
                let number = u32::from_le_bytes(operand);
                assert_eq!(
                    (patched[at + 1] >> 4, number),
                    (1, 11 + u32::try_from(*map).unwrap())
                );
            }
            let same = |at: usize| {
                code.uses
                    .iter()
                    .any(|(used, _)| (*used..used + 8).contains(&at))
            };
            let elsewhere = (0..patched.len()).filter(|at| !same(*at));
            assert!(
                elsewhere
                    .into_iter()
                    .all(|at| patched[at] == code.instructions[at])
            );
            assert!(code.with_maps(&[1]).is_err(), "too few numbers");
        }
    }

    #[test]
    fn a_damaged_object_is_refused_and_nothing_panics() {
        for len in 0..OBJECT.len() {
            assert!(
                Object::parse(&OBJECT[..len]).is_err(),
                "cut to {len} octets"
            );
        }
        for at in 0..OBJECT.len() {
            let mut damaged = OBJECT.to_vec();
            damaged[at] ^= 0xff;
            if let Ok(object) = Object::parse(&damaged) {
                object
                    .programs
                    .iter()
                    .for_each(|code| drop(code.with_maps(&[1; 5])));
            }
        }
    }
}
