//! `profiles`: key by key over the built-in ones.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::model::{DEFAULT_PROFILE, Profile, escape, parse_bytes, parse_duration};

use super::nearest::suggestion;
use super::read::{Fault, Field, Result, image};
use super::yaml::{Scalar, Value};

type Profiles = BTreeMap<String, Profile>;

/// Docker takes no smaller share, and no machine has more.
const CPUS: RangeInclusive<f64> = 0.01..=1024.0;
/// Engines refuse less.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// A shell needs a few; the kernel's default maximum (`fs.nr_open`).
const OPEN_FILES: RangeInclusive<u64> = 16..=1 << 20;
/// The supervisor and one test; the kernel's maximum.
const PIDS: RangeInclusive<u64> = 2..=1 << 22;
/// One page: less would be no size at all to the kernel.
const MIN_TMPFS_BYTES: u64 = 4096;
/// The supervisor has no right to give a test more than its share.
const NICE: RangeInclusive<u64> = 0..=19;
/// The longest name of a profile.
const MAX_NAME: usize = 64;

/// Reads `profiles` over those that there are; a new one starts as the default profile, as the
/// file has that, wherever it stands in the file.
pub(super) fn read(field: &Field, profiles: &mut Profiles) -> Result<()> {
    let mut entries = field.entries()?;
    entries.sort_by_key(|(_, name, _)| *name != DEFAULT_PROFILE);
    for (key, name, field) in entries {
        if !is_name(name) {
            return Err(Fault {
                at: key.at,
                message: format!(
                    "invalid profile name '{}': write letters, digits, '-' and '_', at most \
                     {MAX_NAME}",
                    escape(name.as_bytes())
                ),
            });
        }
        let base = profiles.get(name).or_else(|| profiles.get(DEFAULT_PROFILE));
        let Some(mut profile) = base.cloned() else {
            return Err(field.fault("there is no profile to start from"));
        };
        profile.name = name.to_owned();
        change(&field, &mut profile)?;
        profiles.insert(name.to_owned(), profile);
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(word)
}

fn change(field: &Field, profile: &mut Profile) -> Result<()> {
    let keys = field.keys(&[
        "cpus",
        "memory",
        "timeout",
        "cpu-time",
        "open-files",
        "pids",
        "tmpfs",
        "tmpfs-exec",
        "nice",
        "output",
        "image",
    ])?;
    let limits = &mut profile.limits;
    for (key, field) in keys {
        match key {
            "cpus" => limits.cpus = cpus(&field)?,
            "memory" => limits.memory_bytes = size(&field, MIN_MEMORY_BYTES, "6MiB")?,
            "timeout" => limits.wall = duration(&field)?,
            "cpu-time" => limits.cpu_time = duration(&field)?,
            "open-files" => limits.open_files = count(&field, OPEN_FILES)?,
            "pids" => limits.pids = count(&field, PIDS)?,
            "tmpfs" => limits.tmpfs_bytes = size(&field, MIN_TMPFS_BYTES, "4KiB")?,
            "tmpfs-exec" => limits.tmpfs_exec = flag(&field)?,
            "nice" => limits.nice = count(&field, NICE)? as i32,
            "output" => limits.output_bytes = size(&field, 1, "1B")?,
            "image" => profile.image = Some(image(&field)?),
            _ => return Err(field.fault("unknown key")),
        }
    }
    Ok(())
}

/// The name of a profile that there is.
pub(super) fn known(field: &Field, profiles: &Profiles) -> Result<String> {
    let name = field.text()?;
    if profiles.contains_key(name) {
        return Ok(name.to_owned());
    }
    Err(field.fault(&format!(
        "unknown profile '{}': {}",
        escape(name.as_bytes()),
        suggestion(name, profiles.keys().map(String::as_str))
    )))
}

fn cpus(field: &Field) -> Result<f64> {
    match &field.node.value {
        Value::Scalar(Scalar::Number, text) => text.parse().ok(),
        _ => None,
    }
    .filter(|cpus| CPUS.contains(cpus))
    .ok_or_else(|| {
        field.unfit(&format!(
            "write a number from {} to {}, as in 1.5",
            CPUS.start(),
            CPUS.end()
        ))
    })
}

pub(super) fn count(field: &Field, range: RangeInclusive<u64>) -> Result<u64> {
    match &field.node.value {
        Value::Scalar(Scalar::Number, text) => text.parse().ok(),
        _ => None,
    }
    .filter(|count| range.contains(count))
    .ok_or_else(|| {
        field.unfit(&format!(
            "write a number from {} to {}",
            range.start(),
            range.end()
        ))
    })
}

fn flag(field: &Field) -> Result<bool> {
    match &field.node.value {
        Value::Scalar(Scalar::Bool, text) => Ok(text.eq_ignore_ascii_case("true")),
        _ => Err(field.unfit("write true or false")),
    }
}

fn size(field: &Field, least: u64, least_text: &str) -> Result<u64> {
    let form = format!("write a number with a unit, at least {least_text}, as in 128MiB");
    let Value::Scalar(_, text) = &field.node.value else {
        return Err(field.unfit(&form));
    };
    let bytes = parse_bytes(text).map_err(|message| field.fault(&message))?;
    if bytes < least {
        return Err(field.unfit(&form));
    }
    Ok(bytes)
}

fn duration(field: &Field) -> Result<std::time::Duration> {
    let Value::Scalar(_, text) = &field.node.value else {
        return Err(field.unfit("write a number with a unit, as in 2s or 500ms"));
    };
    parse_duration(text).map_err(|message| field.fault(&message))
}
