//! Many small runs in which, by a seed, a worker dies, stands still for a while, or the run is
//! interrupted, at any moment: every test has exactly one last word, the right one, and nothing is left.

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::engines::{Engine, on_every_engine, skip};
use crate::harness::{Project, finish};
use crate::machine::{command_line, inside, parent, processes, signal, status};
use crate::seeded::{Dice, Named, Suite, seeds};

on_every_engine! {
    whatever_happens_to_a_worker_every_test_has_its_last_word
}

/// How many runs are made. What the last two start and judge is what docker and the sandbox do.
fn count(on: &Engine) -> u64 {
    match (on.word, on.user) {
        ("docker", _) | ("sandbox", None) => 50,
        ("podman", _) => 6,
        _ => 15,
    }
}

/// What happens in a run, once.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A supervisor is killed.
    Death,
    /// A supervisor is stopped, and goes on after so many milliseconds.
    Standstill(u64),
    /// The launcher gets a signal.
    Interrupt(Signal),
    /// A supervisor is killed, and so many milliseconds later the launcher gets a signal.
    Both(u64, Signal),
}

impl Event {
    fn new(dice: &mut Dice) -> Self {
        let end = [Signal::SIGINT, Signal::SIGTERM][dice.roll(2) as usize];
        match dice.roll(100) {
            0..45 => Event::Death,
            45..65 => Event::Standstill(20 + dice.roll(200)),
            65..90 => Event::Interrupt(end),
            _ => Event::Both(dice.roll(150), end),
        }
    }

    fn signal(self) -> Option<Signal> {
        match self {
            Event::Interrupt(signal) | Event::Both(_, signal) => Some(signal),
            _ => None,
        }
    }

    /// How many attempts it may cost.
    fn losses(self) -> usize {
        usize::from(matches!(self, Event::Death | Event::Both(..)))
    }

    /// Lets it happen. Whether there was somebody to happen to.
    fn strike(self, victim: Option<Pid>, launcher: &Child) -> bool {
        // Whoever is gone by then was not met.
        let hit = |what| victim.is_some_and(|victim| kill(victim, what).is_ok());
        match self {
            Event::Death => hit(Signal::SIGKILL),
            Event::Standstill(milliseconds) => {
                let met = hit(Signal::SIGSTOP);
                sleep(Duration::from_millis(milliseconds));
                hit(Signal::SIGCONT);
                met
            }
            Event::Interrupt(number) => {
                signal(launcher, number);
                true
            }
            Event::Both(milliseconds, number) => {
                let met = hit(Signal::SIGKILL);
                sleep(Duration::from_millis(milliseconds));
                signal(launcher, number);
                met
            }
        }
    }
}

/// The supervisors of this launcher's workers.
fn supervisors(on: &Engine, project: &Project, launcher: u32) -> Vec<Pid> {
    let own = Pid::from_raw(launcher as i32);
    let is_first = |pid: &Pid| {
        let numbers = status(*pid, "NSpid:");
        numbers.len() > 1 && numbers.last().is_some_and(|number| number == "1")
    };
    let is_below = |pid: &Pid| {
        let mut above = std::iter::successors(Some(*pid), |pid| parent(*pid));
        above.any(|pid| pid == own)
    };
    // A container that is being made has another program yet.
    let works = |pid: &Pid| {
        command_line(*pid)
            .get(1)
            .is_some_and(|word| word == "worker")
    };
    let all: Vec<Pid> = match on.is_a_program() {
        true => inside(project),
        false => processes().filter(is_below).collect(),
    };
    all.into_iter().filter(works).filter(is_first).collect()
}

/// One run. Whether something happened to it, and how many attempts were lost.
fn schedule(on: &Engine, seed: u64) -> (bool, usize) {
    let _named = Named(seed);
    let mut dice = Dice::new(seed);
    let (suite, project) = Suite::new(&mut dice, on.project());
    let event = Event::new(&mut dice);
    let moment = Duration::from_millis(dice.roll(if on.is_a_program() { 500 } else { 350 }));
    let workers = suite.workers.to_string();
    let more = suite.words();
    let shuffle = format!("--shuffle={seed}");
    let mut words = vec!["--workers", &workers, &shuffle];
    words.extend(more.iter().map(String::as_str));
    let mut launcher = project.start(on.run(words));
    let own = launcher.id();
    let mut ended = || launcher.try_wait().unwrap().is_some();
    while !ended() && supervisors(on, &project, own).is_empty() {
        sleep(Duration::from_millis(10));
    }
    sleep(moment);
    let found = supervisors(on, &project, own);
    let victim = match found.len() {
        0 => None,
        some => Some(found[dice.roll(some as u64) as usize]),
    };
    let met = event.strike(victim, &launcher);
    let said = finish(launcher);
    let lost = suite.check(&project, &said, event.signal(), event.losses());
    assert_eq!(on.left_by(&project), Vec::<String>::new(), "{event:?}");
    (met, lost)
}

fn whatever_happens_to_a_worker_every_test_has_its_last_word(on: &Engine) {
    if on.is_a_program() && !geteuid().is_root() {
        return skip("only root can kill another user's process");
    }
    let seeds = seeds(count(on));
    let ran: Vec<(bool, usize)> = seeds.iter().map(|seed| schedule(on, *seed)).collect();
    let met = ran.iter().filter(|(met, _)| *met).count();
    let lost: usize = ran.iter().map(|(_, lost)| lost).sum();
    println!(
        "{} runs: in {met} something happened, {lost} tests were lost and ran again",
        ran.len()
    );
    // So that this is no proof of nothing.
    assert!(
        seeds.len() == 1 || 2 * met > seeds.len(),
        "only {met} of {}",
        seeds.len()
    );
}
