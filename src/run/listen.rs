//! Where workers dial in: a Unix socket, and beside it a file with the token that they must know. A
//! test can reach the socket; it cannot read the token.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use std::{fs, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::request::Message;
use crate::model::escape;
use crate::protocol::dial::{LONGEST_TOKEN, token_file};

/// How long somebody who dials in may take to say the token.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may be saying it at once: whoever comes then dials again.
const AT_ONCE: usize = 32;
/// How often the end of the run is looked for, in milliseconds.
const LOOK_MS: u16 = 100;

/// Nobody can dial in at a socket.
#[derive(Debug, thiserror::Error)]
#[error("workers cannot dial in at {socket}: {obstacle}")]
pub struct ListenError {
    socket: String,
    obstacle: String,
}

/// A socket at which workers dial in. Dropping it ends that, and removes socket and token.
pub struct Listener {
    socket: PathBuf,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Makes the socket and the token file, and passes whoever dials in and knows the token on to
    /// `inbox`. What a run that is gone left there is replaced.
    ///
    /// # Errors
    /// The socket or its token cannot be made there, or another run listens there.
    pub fn start(socket: &Path, inbox: SyncSender<Message>) -> Result<Self, ListenError> {
        let failed = |obstacle: String| ListenError {
            socket: escape(socket.as_os_str().as_encoded_bytes()),
            obstacle,
        };
        let io = |error: io::Error| failed(error.to_string());
        remove_stale(socket).map_err(failed)?;
        let token = write_token(&token_file(socket)).map_err(io)?;
        let listener = UnixListener::bind(socket).map_err(io)?;
        // Replicas run as another user.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let thread = Builder::new()
            .name("listener".into())
            .spawn(move || accept(&listener, &token, &inbox, &seen))
            .map_err(io)?;
        Ok(Listener {
            socket: socket.to_path_buf(),
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for path in [self.socket.clone(), token_file(&self.socket)] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the socket of a run that is gone. One that somebody answers at, and what is no socket,
/// stays.
fn remove_stale(socket: &Path) -> Result<(), String> {
    match fs::symlink_metadata(socket) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err("something else is there\nhint: name a file that is not there yet".into());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(socket) {
        Ok(_) => Err("another run listens there\nhint: wait for its end, or name another".into()),
        Err(_) => fs::remove_file(socket).map_err(|error| error.to_string()),
    }
}

/// Writes a new token, which everybody may read: who cannot come to its folder cannot.
fn write_token(path: &Path) -> io::Result<String> {
    let mut random = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(format!("{token}\n").as_bytes())?;
    Ok(token)
}

fn accept(
    listener: &UnixListener,
    token: &str,
    inbox: &SyncSender<Message>,
    ended: &Arc<AtomicBool>,
) {
    let busy = Arc::new(AtomicUsize::new(0));
    while !ended.load(Ordering::Relaxed) {
        use std::os::fd::AsFd;
        let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut polled, PollTimeout::from(LOOK_MS));
        match listener.accept() {
            Ok((stream, _)) if busy.load(Ordering::Relaxed) < AT_ONCE => {
                busy.fetch_add(1, Ordering::Relaxed);
                let (token, inbox) = (token.to_owned(), inbox.clone());
                let own = Arc::clone(&busy);
                let ask = move || {
                    if knows(&stream, &token) {
                        let _ = inbox.send(Message::Dialled(stream));
                    }
                    own.fetch_sub(1, Ordering::Relaxed);
                };
                if Builder::new().spawn(ask).is_err() {
                    busy.fetch_sub(1, Ordering::Relaxed);
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // No descriptor left, say: not in a circle.
            Err(_) => thread::sleep(Duration::from_millis(u64::from(LOOK_MS))),
        }
    }
}

/// Whether the first line is the token. Nothing after it is read.
fn knows(mut stream: &UnixStream, token: &str) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut line = Vec::with_capacity(LONGEST_TOKEN);
    let mut byte = [0];
    if stream.set_nonblocking(false).is_err() {
        return false;
    }
    while line.len() < LONGEST_TOKEN {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return false;
        }
        match stream.read(&mut byte) {
            Ok(1) if byte == *b"\n" => {
                return line == token.as_bytes() && stream.set_read_timeout(None).is_ok();
            }
            Ok(1) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn only_who_knows_the_token_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let (sender, receiver) = sync_channel(1);
        let listener = Listener::start(&socket, sender).unwrap();
        let token = read(&token_file(&socket));
        let mut stranger = UnixStream::connect(&socket).unwrap();
        stranger.write_all(b"hello\n").unwrap();
        assert_eq!(stranger.read(&mut [0]).unwrap(), 0, "is turned away");
        let mut chatter = UnixStream::connect(&socket).unwrap();
        let _ = chatter.write_all(&[b'x'; 4096]);
        assert!(chatter.read(&mut [0]).map_or(true, |size| size == 0));
        let mut worker = UnixStream::connect(&socket).unwrap();
        worker.write_all(token.as_bytes()).unwrap();
        worker.write_all(b"first").unwrap();
        let Message::Dialled(mut stream) = receiver.recv().unwrap() else {
            panic!("something else came");
        };
        let mut first = [0; 5];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"first");
        drop(listener);
        assert!(receiver.try_recv().is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn each_run_has_a_token_of_its_own_and_takes_the_place_of_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        // What a killed run leaves.
        drop(UnixListener::bind(&socket).unwrap());
        fs::write(token_file(&socket), "old\n").unwrap();
        let (sender, _receiver) = sync_channel(1);
        let first = Listener::start(&socket, sender.clone()).unwrap();
        let token = read(&token_file(&socket));
        assert_eq!(token.len(), 65);
        let refused = Listener::start(&socket, sender.clone()).err().unwrap();
        assert!(refused.to_string().contains("another run listens there"));
        assert_eq!(read(&token_file(&socket)), token, "is left alone");
        drop(first);
        let _second = Listener::start(&socket, sender).unwrap();
        assert_ne!(read(&token_file(&socket)), token);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        let (sender, _receiver) = sync_channel(1);
        let error = Listener::start(&file, sender).err().unwrap().to_string();
        assert!(error.contains("something else is there"), "{error}");
        assert_eq!(read(&file), "mine");
    }
}
