//! `image: host`: an empty image, with the host's own programs mounted into it read-only. A machine
//! without a registry runs its tests in full container isolation this way.

use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::seccomp::kept;
use super::spec::LABEL;
use super::{Bind, Docker, Engine, EngineError};

/// Programs and libraries of the host.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// What programs need of /etc: where things are, certificates, names of protocols; nothing that
/// tells who uses this machine.
const ETC: [&str; 20] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "xml",
];

/// Language runtimes whose settings lie in folders of these names: `/etc/java-17-openjdk`.
const ETC_PREFIXES: [&str; 4] = ["java", "perl", "php", "python"];

const PASSWD: &str = "root:x:0:0:root:/:/bin/sh
testuser:x:1001:1001:testuser:/home/testuser:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:\ntestuser:x:1001:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
/// Names of this machine inside.
pub const HOSTS: &str = "127.0.0.1 localhost docker-test\n::1 localhost\n";

/// The image's reference.
pub fn reference() -> String {
    format!("docker-test/host:{}", env!("CARGO_PKG_VERSION"))
}

/// The reference of the empty image, which is made where it is missing.
///
/// # Errors
/// The engine does not answer, or is on another machine, whose programs are not ours.
pub fn host_image(docker: &Docker) -> Result<String, EngineError> {
    if !docker.is_local()? {
        return Err(EngineError::Unavailable {
            message:
                "the image `host` needs an engine on this machine: its programs are this machine's"
                    .into(),
            hint:
                "choose another image, or another engine with DOCKER_HOST or `docker context use`"
                    .into(),
        });
    }
    let reference = reference();
    if docker.image(&reference)?.is_none() {
        make(docker, &reference)?;
    }
    Ok(reference)
}

/// Makes the empty image under this reference.
pub(super) fn make(docker: &Docker, reference: &str) -> Result<(), EngineError> {
    let label = format!("LABEL {LABEL}.image=host");
    let version = format!(
        "LABEL org.opencontainers.image.version={}",
        env!("CARGO_PKG_VERSION")
    );
    let root = root_filesystem()
        .map_err(|error| EngineError::Other(format!("cannot make the image `host`: {error}")))?;
    let call = docker
        .call([
            "import",
            "--change",
            &label,
            "--change",
            &version,
            "--change",
            "USER 1001:1001",
            "--change",
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "-",
            reference,
        ])
        .stdin(root);
    docker.run(&call).map(|_| ())
}

/// One entry of the image's files; paths are relative to its root.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A folder, with its mode.
    Folder(&'static str, u32),
    /// A file, with what is in it.
    File(&'static str, &'static str),
    /// A symbolic link, with what it says.
    Link(&'static str, &'static str),
}

/// The image's files, a folder before what is in it.
pub fn entries() -> Vec<Entry> {
    vec![
        Entry::Folder("bin/", 0o755),
        Entry::Folder("dev/", 0o755),
        Entry::Folder("etc/", 0o755),
        Entry::Folder("home/", 0o1777),
        Entry::Folder("proc/", 0o755),
        Entry::Folder("run/", 0o755),
        Entry::Folder("sbin/", 0o755),
        Entry::Folder("sys/", 0o755),
        Entry::Folder("tmp/", 0o1777),
        Entry::Folder("usr/", 0o755),
        Entry::Folder("var/", 0o755),
        Entry::Folder("work/", 0o755),
        Entry::File("etc/group", GROUP),
        Entry::File("etc/hosts", HOSTS),
        Entry::File("etc/nsswitch.conf", NSSWITCH),
        Entry::File("etc/passwd", PASSWD),
        // Programs that keep large temporary files look there.
        Entry::Link("var/tmp", "/tmp"),
    ]
}

/// The image's files, as a tar archive: the same bytes every time.
fn root_filesystem() -> std::io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for entry in entries() {
        match entry {
            Entry::Folder(path, mode) => {
                let mut header = header(EntryType::Directory, mode, 0);
                tar.append_data(&mut header, path, std::io::empty())?;
            }
            Entry::File(path, text) => {
                let mut header = header(EntryType::Regular, 0o644, text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())?;
            }
            Entry::Link(path, to) => {
                let mut header = header(EntryType::Symlink, 0o777, 0);
                tar.append_link(&mut header, path, to)?;
            }
        }
    }
    tar.into_inner()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// A file with our /etc/hosts, for an engine that would put the machine's there.
///
/// # Errors
/// It cannot be kept.
pub(super) fn hosts_file(cache_folder: Option<&Path>) -> Result<PathBuf, EngineError> {
    kept("hosts", "", HOSTS, cache_folder, &std::env::temp_dir())
}

/// What of the host a container of the image `host` sees.
pub fn host_binds() -> Vec<Bind> {
    let etc = std::fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    binds(etc, |path| std::fs::canonicalize(path).ok())
}

/// The binds for an /etc with these entries. A link is bound as what it leads to: `/bin` is the
/// host's `/usr/bin` where the two are one.
fn binds(mut etc: Vec<String>, resolve: impl Fn(&Path) -> Option<PathBuf>) -> Vec<Bind> {
    etc.retain(|name| ETC_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    etc.sort();
    let known = ETC.iter().map(|name| name.to_string());
    let etc = known.chain(etc).map(|name| Path::new("/etc").join(name));
    SYSTEM
        .iter()
        .map(PathBuf::from)
        .chain(etc)
        .filter_map(|target| {
            let source = resolve(&target)?;
            Some(Bind { source, target })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_not_bound_and_links_are_followed() {
        let resolve = |path: &Path| match path.to_str()? {
            "/usr" | "/etc/ld.so.cache" | "/etc/java-17" => Some(path.into()),
            "/bin" => Some("/usr/bin".into()),
            _ => None,
        };
        let etc = ["shadow", "java-17", "javascript"]
            .map(String::from)
            .to_vec();
        let found: Vec<_> = binds(etc, resolve)
            .into_iter()
            .map(|bind| format!("{} {}", bind.source.display(), bind.target.display()))
            .collect();
        assert_eq!(
            found,
            [
                "/usr /usr",
                "/usr/bin /bin",
                "/etc/ld.so.cache /etc/ld.so.cache",
                "/etc/java-17 /etc/java-17"
            ]
        );
    }

    #[test]
    fn the_root_is_the_same_every_time_and_has_a_user() {
        let root = root_filesystem().unwrap();
        assert_eq!(root, root_filesystem().unwrap());
        let mut archive = tar::Archive::new(root.as_slice());
        let modes: Vec<(PathBuf, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().into(), entry.header().mode().unwrap())
            })
            .collect();
        assert!(modes.contains(&("tmp/".into(), 0o1777)));
        assert!(modes.contains(&("etc/passwd".into(), 0o644)));
        assert!(PASSWD.contains("testuser:x:1001:1001:"));
    }
}
