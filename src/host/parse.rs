//! Understands what the kernel writes into /proc. No I/O.

/// The filesystem types of a mountinfo file, in its order; a line of another form is left out.
fn filesystems(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|b| *b == b'\n').filter_map(|line| {
        let fields = line.split(|b| *b == b' ');
        // Any number of optional fields comes before a lone `-`, and the type behind it.
        fields.skip_while(|field| *field != b"-").nth(1)
    })
}

/// Version of the cgroup hierarchy with the controllers: where there is a v1 hierarchy, v2 is
/// mounted beside it without any.
pub fn cgroup_version(table: &[u8]) -> Option<u8> {
    let has = |name: &[u8]| filesystems(table).any(|filesystem| filesystem == name);
    match (has(b"cgroup"), has(b"cgroup2")) {
        (true, _) => Some(1),
        (false, true) => Some(2),
        (false, false) => None,
    }
}

/// Field 22 of /proc/PID/stat: the start time in clock ticks since boot. The process's name in
/// field 2 is in parentheses and may itself hold blanks and parentheses, so the count starts behind
/// the last one.
pub fn start_ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = stat[name_end + 1..].split(u8::is_ascii_whitespace);
    // The first split is the empty text before field 3.
    std::str::from_utf8(fields.nth(22 - 2)?).ok()?.parse().ok()
}

/// The first processor's `model name` in /proc/cpuinfo.
pub fn processor_model(cpuinfo: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(cpuinfo);
    let (_, name) = text
        .lines()
        .find(|line| line.starts_with("model name"))?
        .split_once(':')?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_a_model() {
        let text = b"processor\t: 0\nmodel name\t: Fast (R) 3 GHz\n";
        assert_eq!(processor_model(text).as_deref(), Some("Fast (R) 3 GHz"));
        assert_eq!(processor_model(b""), None);
    }

    const V1: &[u8] = b"\
22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
25 22 0:24 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:25 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw
31 25 0:30 / /sys/fs/cgroup/memory rw shared:15 master:2 - cgroup cgroup rw,memory
90 28 8:1 /a /srv/with\\040blank\xff rw - ext4 /dev/sda1 rw
";

    #[test]
    fn lines_of_another_form_are_left_out() {
        assert_eq!(
            filesystems(b"\n\n1 2 3\n1 2 0:1 / /x rw no dash\n").count(),
            0
        );
    }

    #[test]
    fn cgroup_versions() {
        assert_eq!(cgroup_version(V1), Some(1));
        let v2 = b"30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup_version(v2), Some(2));
        assert_eq!(
            cgroup_version(b"22 28 0:21 / / rw - ext4 /dev/sda rw\n"),
            None
        );
    }

    #[test]
    fn a_start_time_behind_any_name() {
        let rest = "S 1 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 2 3";
        for name in ["sh", "a b", "a) S 1 2 (b", ") ) )", "\n"] {
            let stat = format!("42 ({name}) {rest}\n");
            assert_eq!(start_ticks(stat.as_bytes()), Some(987_654), "{name:?}");
        }
        assert_eq!(start_ticks(b""), None);
        assert_eq!(start_ticks(b"42 (sh) S 1 42"), None);
    }
}
