//! Where workers dial in: a Unix socket, and beside it a file with the token that they must know. A
//! test can reach the socket; it cannot read the token.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::request::Message;
use crate::model::escape;
use crate::protocol::dial::{LONGEST_TOKEN, token_file};

/// How long somebody who dials in may take to say the token.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may be about to say it: where more come, who has been silent longest is turned away.
const AT_ONCE: usize = 32;
/// How often the end of the run is looked for, in milliseconds.
const LOOK_MS: u16 = 100;
/// How often a full inbox is looked at again.
const ROOM: Duration = Duration::from_millis(5);

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

/// Somebody who dialled in and has not said the token yet.
struct Caller {
    stream: UnixStream,
    said: Vec<u8>,
    until: Instant,
}

/// What a caller's first line makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It is not whole yet.
    Open,
    /// It is the token.
    Known,
    /// It is not, or nothing more comes.
    Wrong,
}

impl Caller {
    fn new(stream: UnixStream) -> Option<Self> {
        stream.set_nonblocking(true).ok()?;
        Some(Caller {
            stream,
            said: Vec::with_capacity(LONGEST_TOKEN),
            until: Instant::now() + PATIENCE,
        })
    }

    /// Reads what is there of the first line, and nothing after it.
    fn hear(&mut self, token: &str) -> Word {
        let mut byte = [0];
        while self.said.len() < LONGEST_TOKEN {
            match self.stream.read(&mut byte) {
                Ok(1) if byte == *b"\n" && self.said == token.as_bytes() => return Word::Known,
                Ok(1) if byte != *b"\n" => self.said.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && Instant::now() < self.until =>
                {
                    return Word::Open;
                }
                _ => return Word::Wrong,
            }
        }
        Word::Wrong
    }
}

fn accept(
    listener: &UnixListener,
    token: &str,
    inbox: &SyncSender<Message>,
    ended: &Arc<AtomicBool>,
) {
    let mut callers: VecDeque<Caller> = VecDeque::new();
    while !ended.load(Ordering::Relaxed) {
        wait(listener, &callers);
        match listener.accept() {
            Ok((stream, _)) => callers.extend(Caller::new(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // No descriptor left, say: not in a circle.
            Err(_) => thread::sleep(Duration::from_millis(u64::from(LOOK_MS))),
        }
        for mut caller in std::mem::take(&mut callers) {
            match caller.hear(token) {
                Word::Open => callers.push_back(caller),
                Word::Known => pass_on(caller.stream, inbox, ended),
                Word::Wrong => {}
            }
        }
        // Whoever knows the token says it at once: who has been silent longest makes room.
        if callers.len() > AT_ONCE {
            callers.pop_front();
        }
    }
}

/// Until somebody dials in or says something, or it is time to look around.
fn wait(listener: &UnixListener, callers: &VecDeque<Caller>) {
    let sources = std::iter::once(listener.as_fd());
    let sources = sources.chain(callers.iter().map(|caller| caller.stream.as_fd()));
    let mut polled: Vec<PollFd> = sources
        .map(|source| PollFd::new(source, PollFlags::POLLIN))
        .collect();
    let _ = poll(&mut polled, PollTimeout::from(LOOK_MS));
}

/// Passes a worker on as soon as there is room, while the run has not ended.
fn pass_on(stream: UnixStream, inbox: &SyncSender<Message>, ended: &AtomicBool) {
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    let mut message = Message::Dialled(stream);
    while let Err(TrySendError::Full(back)) = inbox.try_send(message) {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        message = back;
        thread::sleep(ROOM);
    }
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
    fn who_says_nothing_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let (sender, receiver) = sync_channel(1);
        let _listener = Listener::start(&socket, sender).unwrap();
        let token = read(&token_file(&socket));
        let silent: Vec<UnixStream> = (0..2 * AT_ONCE)
            .map(|_| UnixStream::connect(&socket).unwrap())
            .collect();
        let mut worker = UnixStream::connect(&socket).unwrap();
        worker.write_all(token.as_bytes()).unwrap();
        let first = receiver.recv_timeout(PATIENCE);
        assert!(matches!(first, Ok(Message::Dialled(_))));
        assert_eq!((&silent[0]).read(&mut [0]).unwrap(), 0, "made room");
    }

    #[test]
    fn a_full_inbox_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let (sender, receiver) = sync_channel(1);
        let listener = Listener::start(&socket, sender).unwrap();
        let token = read(&token_file(&socket));
        let workers: Vec<UnixStream> = (0..4)
            .map(|_| {
                let mut worker = UnixStream::connect(&socket).unwrap();
                worker.write_all(token.as_bytes()).unwrap();
                worker
            })
            .collect();
        assert!(receiver.recv().is_ok());
        drop(listener);
        drop(workers);
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
