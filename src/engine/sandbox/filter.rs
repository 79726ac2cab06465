//! A seccomp profile as programs for the kernel: the same list that docker's command line reads.

use std::collections::BTreeMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use serde::Deserialize;
use syscalls::Sysno;

use super::super::{EngineError, SeccompProfile};
use super::shortcut;

/// The part of docker's format that our profiles use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_errno_ret: u32,
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: Action,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Vec<Condition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: Comparison,
}

#[derive(Deserialize)]
enum Comparison {
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// The rules of one filter, by the number of the system call. Without a rule a call always matches.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The programs of `profile`, to be installed in this order, encoded as [`install`] takes them.
///
/// # Errors
/// The profile is not of the form that it should have, or the machine not one that it is for.
pub fn programs(profile: SeccompProfile) -> Result<Vec<String>, EngineError> {
    let failed = |what: String| EngineError::Other(format!("the seccomp profile: {what}"));
    let parsed: Profile =
        serde_json::from_str(profile.json()).map_err(|error| failed(error.to_string()))?;
    let filters = compile(&parsed).map_err(failed)?;
    Ok(filters.iter().map(encode).collect())
}

/// The list of what is allowed, and after it what gets another error: of two filters that refuse a
/// call the kernel takes the error of the later one.
fn compile(profile: &Profile) -> Result<Vec<BpfProgram>, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let (allowed, others): (Vec<&Rule>, Vec<&Rule>) = profile
        .syscalls
        .iter()
        .partition(|rule| rule.action == Action::Allow);
    let mut refused: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in others {
        let errno = rule.errno_ret.unwrap_or(profile.default_errno_ret);
        refused.entry(errno).or_default().push(rule);
    }
    let program = |rules, mismatch, matched| {
        SeccompFilter::new(rules, mismatch, matched, arch)
            .and_then(BpfProgram::try_from)
            .map_err(|error: seccompiler::BackendError| error.to_string())
    };
    let (always, conditional): (Rules, Rules) = rules(&allowed)?
        .into_iter()
        .partition(|(_, alternatives)| alternatives.is_empty());
    let always: Vec<u32> = always
        .keys()
        .filter_map(|n| u32::try_from(*n).ok())
        .collect();
    let mut list = shortcut::program(&always, arch)?;
    list.extend(program(
        conditional,
        SeccompAction::Errno(profile.default_errno_ret),
        SeccompAction::Allow,
    )?);
    let mut programs = vec![list];
    for (errno, refused) in &refused {
        let refusal = SeccompAction::Errno(*errno);
        programs.push(program(rules(refused)?, SeccompAction::Allow, refusal)?);
    }
    Ok(programs)
}

/// Several rules of one call are alternatives; one without conditions makes the others void.
fn rules(list: &[&Rule]) -> Result<Rules, String> {
    let mut rules = Rules::new();
    let mut always = Vec::new();
    for rule in list {
        for name in &rule.names {
            // A call that this architecture does not have needs no rule.
            let Ok(number) = Sysno::from_str(name) else {
                continue;
            };
            let number = i64::from(number.id());
            let alternatives = rules.entry(number).or_default();
            if rule.args.is_empty() {
                always.push(number);
            } else {
                alternatives.push(conditions(&rule.args)?);
            }
        }
    }
    for number in always {
        rules.insert(number, Vec::new());
    }
    Ok(rules)
}

fn conditions(list: &[Condition]) -> Result<SeccompRule, String> {
    let one = |condition: &Condition| {
        let (operator, value) = match condition.op {
            Comparison::Equal => (SeccompCmpOp::Eq, condition.value),
            // Docker's first value is the mask.
            Comparison::MaskedEqual => {
                (SeccompCmpOp::MaskedEq(condition.value), condition.value_two)
            }
        };
        SeccompCondition::new(condition.index, SeccompCmpArgLen::Qword, operator, value)
    };
    list.iter()
        .map(one)
        .collect::<Result<_, _>>()
        .and_then(SeccompRule::new)
        .map_err(|error| error.to_string())
}

fn encode(program: &BpfProgram) -> String {
    let bytes = program.iter().flat_map(|step| {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&step.code.to_ne_bytes());
        bytes[2] = step.jt;
        bytes[3] = step.jf;
        bytes[4..].copy_from_slice(&step.k.to_ne_bytes());
        bytes
    });
    STANDARD.encode(bytes.collect::<Vec<u8>>())
}

fn decode(text: &str) -> Option<BpfProgram> {
    let bytes = STANDARD.decode(text).ok()?;
    let (steps, rest) = bytes.as_chunks::<8>();
    let step = |&[a, b, jt, jf, k @ ..]: &[u8; 8]| sock_filter {
        code: u16::from_ne_bytes([a, b]),
        jt,
        jf,
        k: u32::from_ne_bytes(k),
    };
    rest.is_empty().then(|| steps.iter().map(step).collect())
}

/// Installs a program for this thread and what it executes; it needs `no_new_privs`, which it sets.
///
/// # Errors
/// It is not a program, or the kernel has no seccomp filters.
pub fn install(text: &str) -> nix::Result<()> {
    let program = decode(text).ok_or(nix::errno::Errno::EINVAL)?;
    seccompiler::apply_filter(&program).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => {
            nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL))
        }
        _ => nix::errno::Errno::EINVAL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_survives_its_encoding() {
        for profile in [SeccompProfile::Isolation, SeccompProfile::Full] {
            let parsed: Profile = serde_json::from_str(profile.json()).unwrap();
            let programs = compile(&parsed).unwrap();
            assert_eq!(programs.len(), 2);
            for program in programs {
                assert_eq!(decode(&encode(&program)).unwrap(), program);
                // The kernel takes no longer one.
                assert!(program.len() <= 4096);
            }
        }
        assert!(decode("AAAA").is_none());
    }

    /// The allow-list must know its calls: a name that is misspelt would be left out silently.
    #[test]
    fn every_name_is_a_system_call_of_some_machine_that_we_know() {
        let elsewhere = ["fchmodat2", "listmount", "statmount", "mseal", "uretprobe"];
        for profile in [SeccompProfile::Isolation, SeccompProfile::Full] {
            let parsed: Profile = serde_json::from_str(profile.json()).unwrap();
            for name in parsed.syscalls.iter().flat_map(|rule| &rule.names) {
                let known = Sysno::from_str(name).is_ok();
                assert!(known || elsewhere.contains(&name.as_str()), "{name}");
            }
        }
    }

    #[test]
    fn a_rule_without_conditions_wins_over_those_with() {
        let text = r#"{"defaultErrnoRet": 1, "syscalls": [
            {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["write"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 255, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;
        let parsed: Profile = serde_json::from_str(text).unwrap();
        let rules = rules(&parsed.syscalls.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(rules.len(), 2);
        assert!(rules[&i64::from(Sysno::read.id())].is_empty());
        assert_eq!(rules[&i64::from(Sysno::write.id())].len(), 1);
    }
}
