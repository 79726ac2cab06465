//! `docker-test worker`: the supervisor, on stdin and stdout.

use std::ffi::OsString;
use std::os::fd::AsFd;

use super::Failure;
use crate::cli::{PlaceOfWorker, Worker};
use crate::worker::{Dial, Place, dial_in, serve};

/// Where the worker is, as the command line says it.
pub fn place(arguments: PlaceOfWorker) -> Place {
    Place {
        own: arguments.own,
        home: arguments.home,
        sealed: arguments.sealed,
        secret: None,
    }
}

/// The same from words as our launchers write them; `None` for any others, which are the command
/// line's parser's. That takes a millisecond, a good part of a container's start.
pub fn plain_place(mut words: impl Iterator<Item = OsString>) -> Option<Place> {
    let mut place = Place::default();
    while let Some(word) = words.next() {
        match word.to_str()? {
            "--sealed" => place.sealed = true,
            "--own" => place.own.push(words.next()?.into()),
            "--home" => place.home = Some(words.next()?.into()),
            _ => return None,
        }
    }
    (place.home.is_none() || !place.own.is_empty()).then_some(place)
}

/// Serves the launcher that started it, or the runs behind the socket that it is to dial in at.
pub fn any_worker(arguments: Worker) -> Result<u8, Failure> {
    let place = place(arguments.place);
    let Some(socket) = arguments.connect else {
        return worker(&place);
    };
    let dial = Dial {
        socket,
        image: arguments.image,
        once: arguments.once,
    };
    dial_in(&dial, &place).map_err(Failure::engine)?;
    Ok(0)
}

/// Serves the launcher until it says goodbye.
pub fn worker(place: &Place) -> Result<u8, Failure> {
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned().map_err(|error| {
            Failure::engine(format!("the launcher's pipe cannot be used: {error}"))
        })
    };
    let input = duplicate(std::io::stdin().as_fd())?;
    let output = duplicate(std::io::stdout().as_fd())?;
    serve(input, output, place).map_err(Failure::engine)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command};
    use crate::run::worker_arguments;

    #[test]
    fn our_own_words_mean_what_the_parser_says() {
        let words = worker_arguments();
        let plain = plain_place(words.iter().skip(1).cloned()).unwrap();
        let program = std::iter::once("docker-test".into());
        let Ok(parsed) = cli::parse(program.chain(words).collect()) else {
            panic!("our own words are refused");
        };
        let Command::Worker(arguments) = parsed.command else {
            panic!("{:?}", parsed.command);
        };
        assert_eq!(plain, place(arguments.place));
    }

    #[test]
    fn all_other_words_are_the_parsers() {
        for words in [
            &["--help"][..],
            &["--own"],
            &["--own=/tmp"],
            &["--home", "/h"],
            &["x"],
        ] {
            assert_eq!(
                plain_place(words.iter().map(OsString::from)),
                None,
                "{words:?}"
            );
        }
    }
}
