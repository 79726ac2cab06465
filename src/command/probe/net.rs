//! Loopback, the world outside, and what a closed connection leaves behind.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::Finding;
use super::answer::Answer;
use crate::model::escape;

/// How long a connection that nobody refuses is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Leaves a connection in TIME_WAIT on 127.0.0.1:`port`: the side that closes first keeps it.
pub fn time_wait(port: u16) -> Finding {
    let failed = |error: std::io::Error| format!("127.0.0.1:{port}: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    let (server, _) = listener.accept().map_err(failed)?;
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).map_err(failed)?;
    println!("left 127.0.0.1:{port}");
    Ok(true)
}

/// Binds 127.0.0.1:`port` as a program does that expects a clean machine: without SO_REUSEADDR,
/// which the standard library always sets.
pub fn bind(port: u16) -> Finding {
    // SAFETY: the call takes no pointer.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(format!("socket: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: the call above made it and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the address lives during the call and its size is given.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    let answer = Answer::of(bound.into());
    println!("bind 127.0.0.1:{port} {answer}");
    Ok(answer == Answer::Done)
}

/// Tries to reach an address by TCP and by UDP; not as it should be where one of them works.
/// Nothing is sent by UDP: connecting such a socket only looks for a route.
pub fn connect(address: &str, port: u16) -> Finding {
    let ip: IpAddr = address
        .parse()
        .map_err(|_| format!("not an IP address: '{}'", escape(address.as_bytes())))?;
    let target = SocketAddr::new(ip, port);
    let udp = answer(udp_route(target));
    println!("udp {udp}");
    let tcp = answer(TcpStream::connect_timeout(&target, PATIENCE).map(drop));
    println!("tcp {tcp}");
    Ok(udp != Answer::Done && tcp != Answer::Done)
}

fn udp_route(target: SocketAddr) -> std::io::Result<()> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    UdpSocket::bind(any)?.connect(target)
}

fn answer(result: std::io::Result<()>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => error.into(),
    }
}

/// Sends a byte through 127.0.0.1 and leaves nothing behind.
pub fn loopback() -> Finding {
    match exchange() {
        Ok(byte) => Ok(byte == *b"!"),
        Err(error) => {
            println!("loopback {}", Answer::from(error));
            Ok(false)
        }
    }
}

fn exchange() -> std::io::Result<[u8; 1]> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
    let (mut server, _) = listener.accept()?;
    server.write_all(b"!")?;
    let mut byte = [0];
    client.read_exact(&mut byte)?;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_a_free_one() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(bind(port), Ok(false));
        assert_eq!(bind(0), Ok(true));
    }

    #[test]
    fn a_listener_is_reached_and_a_name_is_no_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connect("127.0.0.1", port), Ok(false));
        assert!(connect("localhost", port).is_err());
        assert_eq!(loopback(), Ok(true));
    }
}
