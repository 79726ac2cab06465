//! A container's network beyond loopback.
//!
//! `internal` is an interface with an address and nothing behind it. `bridge` is the way out that
//! rootless engines have: `slirp4netns`, a process outside that carries the packets as the user's own.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use nix::unistd::{AccessFlags, Pid, access};

use super::plan::Obstacle;

/// The program that makes a way out.
const SLIRP: &str = "slirp4netns";
/// How long it may take to be ready, in milliseconds.
const READY: u16 = 10_000;
/// What it makes an interface with.
const DEVICE: &str = "/dev/net/tun";
/// Where it answers questions for names.
pub const RESOLVER: &str = "nameserver 10.0.2.3\n";
/// The interface that tests see, and the one that it is tied to.
const INTERFACE: &str = "eth0";
const PEER: &str = "eth0-end";
/// The address of the former, as `slirp4netns` gives it too.
const ADDRESS: [u8; 4] = [10, 0, 2, 100];
const MASK: [u8; 4] = [255, 255, 255, 0];

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_EXCL: u16 = 0x200;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// An `ifinfomsg` that says nothing.
const ANY_LINK: [u8; 16] = [0; 16];

/// The program for a way out.
///
/// # Errors
/// It is not in this `PATH`, or this user may not use what it needs: which, as a line.
pub fn slirp(path: Option<OsString>) -> Result<PathBuf, &'static str> {
    let program = |folder: PathBuf| folder.join(SLIRP);
    let there = |program: &PathBuf| program.is_absolute() && program.is_file();
    let found = path
        .iter()
        .flat_map(std::env::split_paths)
        .map(program)
        .find(there)
        .ok_or("slirp4netns is not installed")?;
    match access(DEVICE, AccessFlags::R_OK | AccessFlags::W_OK) {
        Ok(()) => Ok(found),
        Err(_) => Err("slirp4netns needs /dev/net/tun, which this user may not use"),
    }
}

/// From inside: brings the loopback interface up.
///
/// # Errors
/// The kernel refuses.
pub fn loopback_up() -> nix::Result<()> {
    up("lo")
}

/// From inside: makes an interface that leads nowhere.
///
/// # Errors
/// The kernel refuses, or has no such interfaces.
pub fn make_internal() -> nix::Result<()> {
    request(&new_pair())?;
    set_address(libc::SIOCSIFADDR, ADDRESS)?;
    set_address(libc::SIOCSIFNETMASK, MASK)?;
    // A link is only as much up as its other end.
    up(PEER)?;
    up(INTERFACE)
}

/// The message that makes a pair of interfaces.
fn new_pair() -> Vec<u8> {
    let name = |name: &str| attribute(IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat());
    let peer = attribute(VETH_INFO_PEER, &[&ANY_LINK[..], &name(PEER)].concat());
    let link = [
        attribute(IFLA_INFO_KIND, b"veth"),
        attribute(IFLA_INFO_DATA, &peer),
    ];
    let body = [
        &ANY_LINK[..],
        &name(INTERFACE),
        &attribute(IFLA_LINKINFO, &link.concat()),
    ]
    .concat();
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let mut message = Vec::new();
    message.extend((body.len() as u32 + 16).to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Number and sender, which nobody looks at.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// An attribute of a netlink message, padded as the kernel wants it.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Sends a message to the kernel and hears its answer.
fn request(message: &[u8]) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
    send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // Behind the header of 16 bytes comes the negative errno, or 0.
    let errno = answer[..length].get(16..20).ok_or(Errno::EBADMSG)?;
    match i32::from_ne_bytes([errno[0], errno[1], errno[2], errno[3]]) {
        0 => Ok(()),
        errno => Err(Errno::from_raw(-errno)),
    }
}

/// A request about the interface of this name.
fn about(name: &str) -> libc::ifreq {
    // SAFETY: integers and characters, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request
}

fn control(number: libc::c_ulong, request: &libc::ifreq) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    // SAFETY: the request is what these calls take, and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw const *request) };
    Errno::result(result).map(drop)
}

fn up(name: &str) -> nix::Result<()> {
    let mut request = about(name);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    control(libc::SIOCSIFFLAGS, &request)
}

fn set_address(number: libc::c_ulong, address: [u8; 4]) -> nix::Result<()> {
    let mut request = about(INTERFACE);
    // SAFETY: a structure of integers, for which zero is valid.
    let mut place: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    place.sin_family = libc::AF_INET as libc::sa_family_t;
    place.sin_addr.s_addr = u32::from_ne_bytes(address);
    // SAFETY: an IPv4 address is one form of a socket address, of the same size.
    request.ifr_ifru.ifru_addr =
        unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(place) };
    control(number, &request)
}

/// How the program is called for the container of `child`, to write to descriptor `ready`.
fn arguments(ready: i32, child: Pid, mapped: bool) -> Vec<String> {
    let mut words: Vec<String> = [
        "--configure",
        "--mtu=65520",
        "--disable-host-loopback",
        // It reads what tests send, and may be root: it gives up its own rights first.
        "--enable-sandbox",
        "--enable-seccomp",
    ]
    .map(Into::into)
    .into();
    words.push(format!("--ready-fd={ready}"));
    if mapped {
        words.push(format!("--userns-path=/proc/{child}/ns/user"));
    }
    words.extend([child.to_string(), INTERFACE.into()]);
    words
}

/// The process that carries packets, ended with this.
pub struct WayOut(Child);

impl WayOut {
    /// From outside: starts it for the container of `child`, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start, or gives up.
    pub fn make(program: &Path, child: Pid, mapped: bool) -> Result<Self, Obstacle> {
        let failed = |error: std::io::Error| Obstacle {
            step: format!("start {SLIRP}"),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let (mut ready, ready_end) = std::io::pipe().map_err(failed)?;
        let number = ready_end.as_raw_fd();
        let mut command = Command::new(program);
        command
            .args(arguments(number, child, mapped))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: plain system calls, which may be made between fork and exec.
        unsafe {
            command.pre_exec(move || {
                set_pdeathsig(Signal::SIGKILL)?;
                Errno::result(libc::fcntl(number, libc::F_SETFD, 0))?;
                Ok(())
            });
        }
        let process = command.spawn().map_err(failed)?;
        drop(ready_end);
        let way_out = WayOut(process);
        let mut byte = [0];
        // It says why not on stderr, which the launcher shows.
        let mut wait = [PollFd::new(ready.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wait, READY).is_ok_and(|events| events == 0) {
            return Err(failed(Errno::ETIMEDOUT.into()));
        }
        ready.read_exact(&mut byte).map_err(failed)?;
        Ok(way_out)
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        // It may have ended by itself, with the container's network.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_say_their_own_length() {
        assert_eq!(attribute(3, b"lo\0"), [7, 0, 3, 0, b'l', b'o', 0, 0]);
        let message = new_pair();
        assert_eq!(message.len() % 4, 0);
        assert_eq!(message[..4], (message.len() as u32).to_ne_bytes());
    }

    #[test]
    fn who_carries_a_tests_packets_gives_up_its_own_rights() {
        for mapped in [false, true] {
            let words = arguments(5, Pid::from_raw(7), mapped);
            for wanted in ["--enable-sandbox", "--enable-seccomp", "--ready-fd=5"] {
                assert!(words.iter().any(|word| word == wanted), "{words:?}");
            }
            assert_eq!(words[words.len() - 2..], ["7", "eth0"]);
            let joins = words.contains(&"--userns-path=/proc/7/ns/user".to_owned());
            assert_eq!(joins, mapped);
        }
    }

    #[test]
    fn the_way_out_is_looked_for_in_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |path: &Path| slirp(Some(path.as_os_str().to_owned()));
        let missing = Err("slirp4netns is not installed");
        assert_eq!(path(folder.path()), missing);
        let program = folder.path().join(SLIRP);
        std::fs::write(&program, "").unwrap();
        // Where it is, the device decides.
        if access(DEVICE, AccessFlags::R_OK | AccessFlags::W_OK).is_ok() {
            assert_eq!(path(folder.path()), Ok(program));
        } else {
            assert!(path(folder.path()).is_err_and(|why| why.contains(DEVICE)));
        }
        assert_eq!(slirp(Some("relative".into())), missing);
        assert_eq!(slirp(None), missing);
    }
}
