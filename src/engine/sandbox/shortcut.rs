//! The beginning of a seccomp program: calls that are allowed whatever their arguments are.
//!
//! The kernel tries a new program with every number that there is. A list that is compared one by
//! one costs more than a millisecond then, half a container's start; a search tree does not.

use seccompiler::{BpfProgram, TargetArch, sock_filter};

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;

/// Where the kernel's data have the call's number and the architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Steps that allow the calls of `allowed`, sorted, on `arch`, and go on behind themselves with all
/// others.
///
/// # Errors
/// The calls are in so many pieces that a jump would be too long.
pub fn program(allowed: &[u32], arch: TargetArch) -> Result<BpfProgram, String> {
    if allowed.is_empty() {
        return Ok(BpfProgram::new());
    }
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let bounds = bounds(allowed);
    // Behind the tree comes the step that allows; behind that goes on what is not allowed here.
    let tree = Tree {
        bounds: &bounds,
        allow: bounds.len(),
    };
    let mut nodes = Vec::new();
    tree.emit(0, bounds.len(), &mut nodes)?;
    let architecture = match arch {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    };
    let behind = u32::try_from(nodes.len() + 2).unwrap_or(u32::MAX);
    let mut program = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(JUMP_IF_EQUAL, 1, 0, architecture),
        step(JUMP, 0, 0, behind),
        step(LOAD, 0, 0, NUMBER),
    ];
    program.extend(nodes);
    program.push(step(RETURN, 0, 0, ALLOW));
    Ok(program)
}

/// Where allowed and other numbers meet: the first is the first allowed one, and so on by turns.
fn bounds(allowed: &[u32]) -> Vec<u32> {
    let mut bounds = Vec::new();
    for &number in allowed {
        if bounds.last() == Some(&number) {
            bounds.pop();
        } else {
            bounds.push(number);
        }
        bounds.push(number + 1);
    }
    bounds
}

struct Tree<'a> {
    bounds: &'a [u32],
    /// Which step allows.
    allow: usize,
}

impl Tree<'_> {
    /// Adds the steps that look among the bounds `low..high`, the middle one first.
    fn emit(&self, low: usize, high: usize, steps: &mut Vec<sock_filter>) -> Result<(), String> {
        if low == high {
            return Ok(());
        }
        let middle = low + (high - low) / 2;
        let at = steps.len();
        steps.push(sock_filter {
            code: JUMP_IF_GREATER_OR_EQUAL,
            jt: 0,
            jf: 0,
            k: self.bounds[middle],
        });
        self.emit(low, middle, steps)?;
        let right = steps.len();
        self.emit(middle + 1, high, steps)?;
        let (below, above) = (at + 1, right);
        steps[at].jf = self.jump(at, low, middle, below)?;
        steps[at].jt = self.jump(at, middle + 1, high, above)?;
        Ok(())
    }

    /// How far it is from the step `at` to what looks among the bounds `low..high`.
    fn jump(&self, at: usize, low: usize, high: usize, subtree: usize) -> Result<u8, String> {
        let target = match (low == high, low % 2 == 1) {
            (false, _) => subtree,
            (true, true) => self.allow,
            (true, false) => self.allow + 1,
        };
        u8::try_from(target - at - 1).map_err(|_| "the allowed calls are too scattered".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: u32 = 0xc000_003e;

    /// Whether the program allows a call; `None` where it goes on behind itself.
    fn run(program: &[sock_filter], architecture: u32, number: u32) -> Option<bool> {
        let (mut at, mut register) = (0, 0);
        while let Some(step) = program.get(at) {
            at += 1;
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                LOAD if step.k == NUMBER => register = number,
                LOAD => register = architecture,
                JUMP => at += step.k as usize,
                JUMP_IF_EQUAL => at += jump(register == step.k),
                JUMP_IF_GREATER_OR_EQUAL => at += jump(register >= step.k),
                RETURN => return Some(step.k == ALLOW),
                code => panic!("{code}"),
            }
        }
        assert_eq!(at, program.len());
        None
    }

    proptest::proptest! {
        #[test]
        fn exactly_what_is_allowed_is_allowed(calls in proptest::collection::btree_set(0_u32..130, 0..100)) {
            let calls: Vec<u32> = calls.into_iter().collect();
            let program = program(&calls, TargetArch::x86_64).unwrap();
            for number in (0..140).chain([u32::MAX, 0x4000_0001]) {
                let expected = calls.contains(&number).then_some(true);
                assert_eq!(run(&program, ARCH, number), expected, "{number} of {calls:?}");
                // Another architecture has other numbers.
                assert_eq!(run(&program, 0x4000_0003, number), None);
            }
        }
    }

    #[test]
    fn nothing_that_is_allowed_allows_nothing() {
        let program = program(&[], TargetArch::x86_64).unwrap();
        assert_eq!(run(&program, ARCH, 0), None);
    }

    #[test]
    fn too_many_pieces_are_an_error() {
        let calls: Vec<u32> = (0..300).map(|n| 2 * n).collect();
        assert!(program(&calls, TargetArch::x86_64).is_err());
    }
}
