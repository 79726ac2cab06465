//! What of ours the engine has, and how to remove it. Answers are read strictly: what is removed is
//! named by an id that has the form of one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::call::{Answer, Call, one_line};
use super::super::spec::LABEL;
use super::super::{EngineError, Found, FoundImage, Image, Owner};
use super::{Docker, Flavour, argv, diagnose};
use crate::model::ContentDigest;

/// Labels that say whose a container is, in the order of the columns asked for.
const OWNER: [&str; 4] = ["run", "boot", "pid", "pid-start"];

/// The containers that carry our labels.
///
/// # Errors
/// The engine does not answer, or not as it should.
pub fn containers(docker: &Docker) -> Result<Vec<Found>, EngineError> {
    owned(docker, &["ps", "--all"], "Names")
}

/// The networks that carry our labels.
///
/// # Errors
/// The engine does not answer, or not as it should.
pub fn networks(docker: &Docker) -> Result<Vec<Found>, EngineError> {
    if !docker.flavour().lists_networks_as_json() {
        return owned(docker, &["network", "ls"], "Name");
    }
    let filter = format!("label={LABEL}.run");
    let call = docker.call(["network", "ls", "--filter", &filter, "--format", "json"]);
    let answer = docker.run(&call)?;
    let networks: Vec<PodmanNetwork> =
        serde_json::from_slice(&answer).map_err(|_| call.garbage(&answer))?;
    let found = |network: PodmanNetwork| Found {
        id: network.id,
        name: network.name,
        owner: Owner::from_labels(&network.labels),
    };
    Ok(networks.into_iter().map(found).collect())
}

/// The part of podman's listing that we use.
#[derive(Deserialize)]
struct PodmanNetwork {
    id: String,
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What a listing shows of those that carry our labels; `name` is the column of their names.
fn owned(docker: &Docker, listing: &[&str], name: &str) -> Result<Vec<Found>, EngineError> {
    let filter = format!("label={LABEL}.run");
    let mut columns = format!("[{{{{json .ID}}}},{{{{json .{name}}}}}");
    for key in OWNER {
        columns.push_str(&format!(",{{{{json (.Label \"{LABEL}.{key}\")}}}}"));
    }
    columns.push(']');
    let options = ["--no-trunc", "--filter", &filter, "--format", &columns];
    let call = docker.call(listing.iter().copied().chain(options));
    rows(&call, &docker.run(&call)?, |columns: [String; 6]| {
        let [id, name, labels @ ..] = columns;
        let labels: BTreeMap<String, String> = OWNER
            .iter()
            .map(|key| format!("{LABEL}.{key}"))
            .zip(labels)
            .collect();
        is_hex_id(&id).then(|| Found {
            id,
            name,
            owner: Owner::from_labels(&labels),
        })
    })
}

/// Removes a container, running or not. Whether it was there.
///
/// # Errors
/// The engine refuses, or does not answer in time.
pub fn remove_container(docker: &Docker, id: &str) -> Result<bool, EngineError> {
    let call = docker.call(["rm", "--force", "--", id]);
    let answer = call.answer()?;
    let stderr = one_line(&answer.stderr);
    if answer.status.success() {
        // Newer command lines succeed with a container that is not there, and print no name then.
        Ok(!answer.stdout.trim_ascii().is_empty())
    } else if stderr.contains("is already in progress") {
        Ok(true)
    } else if diagnose::no_such(&stderr, "container") {
        Ok(false)
    } else {
        Err(docker.failed(&call, &answer))
    }
}

/// Removes a network; one that is gone already is no error.
///
/// # Errors
/// The engine refuses, as it does while a container has it, or does not answer in time.
pub fn remove_network(docker: &Docker, id: &str) -> Result<(), EngineError> {
    let call = docker.call(["network", "rm", "--", id]);
    let answer = call.answer()?;
    let stderr = one_line(&answer.stderr);
    let gone = || {
        diagnose::no_such(&stderr, "network")
            || stderr.contains(&format!("network {id} not found"))
            || stderr.contains(&format!("{id}: network not found"))
    };
    if answer.status.success() || gone() {
        Ok(())
    } else {
        Err(docker.failed(&call, &answer))
    }
}

/// Looks up an image.
///
/// # Errors
/// The engine does not answer, or not as it should.
pub fn image(docker: &Docker, reference: &str) -> Result<Option<Image>, EngineError> {
    // Podman calls it so, and leaves its kind out.
    let columns = match docker.flavour() {
        Flavour::Docker => {
            "[{{json .Id}},{{json .Size}},{{with .Config}}{{json .Labels}}{{else}}null{{end}}]"
        }
        Flavour::Podman => "[{{json .ID}},{{json .Size}},{{json .Labels}}]",
    };
    let call = docker.call([
        "image",
        "inspect",
        "--format",
        columns,
        "--",
        argv::image(reference)?,
    ]);
    let answer = call.answer()?;
    if !answer.status.success() {
        return absent(docker, &call, &answer).map(|()| None);
    }
    type Columns = (String, u64, Option<BTreeMap<String, String>>);
    let found = rows(&call, &answer.stdout, |columns: Columns| {
        let (id, size_bytes, labels) = columns;
        let id = if is_hex_id(&id) {
            format!("sha256:{id}")
        } else {
            id
        };
        let content = labels.as_ref();
        let content = content.and_then(|labels| labels.get(ContentDigest::LABEL));
        is_image_id(&id).then_some(Image {
            id,
            size_bytes,
            // Anybody can label an image: what is no digest says nothing.
            content: content.and_then(|text| ContentDigest::parse(text)),
        })
    })?;
    match <[Image; 1]>::try_from(found) {
        Ok([image]) => Ok(Some(image)),
        Err(_) => Err(call.garbage(&answer.stdout)),
    }
}

/// The images that we made: those that carry our label and our name, and those that lost their
/// name to a newer build. A user's image that is built on ours has the label too, and its own name.
///
/// # Errors
/// The engine does not answer, or not as it should.
pub fn images(docker: &Docker) -> Result<Vec<FoundImage>, EngineError> {
    let filter = format!("label={LABEL}.image");
    let call = docker.call([
        "image",
        "ls",
        "--no-trunc",
        "--filter",
        &filter,
        "--format",
        "[{{json .ID}},{{json .Repository}},{{json .Tag}}]",
    ]);
    let all = rows(&call, &docker.run(&call)?, |columns: [String; 3]| {
        let [id, repository, tag] = columns;
        is_image_id(&id).then_some((id, repository, tag))
    })?;
    Ok(all
        .into_iter()
        .filter_map(|(id, repository, tag)| {
            // Where podman puts names that have no registry.
            let repository = repository.strip_prefix("localhost/").unwrap_or(&repository);
            let nameless = repository == "<none>";
            (nameless || repository.starts_with("docker-test/")).then(|| FoundImage {
                reference: (!nameless && tag != "<none>").then(|| format!("{repository}:{tag}")),
                id,
            })
        })
        .collect())
}

/// Removes an image; one that is gone already is no error.
///
/// # Errors
/// The engine refuses, as it does while a container uses it, or does not answer in time.
pub fn remove_image(docker: &Docker, image: &FoundImage) -> Result<(), EngineError> {
    let name = image.reference.as_deref().unwrap_or(&image.id);
    let call = docker.call(["image", "rm", "--", argv::image(name)?]);
    let answer = call.answer()?;
    if answer.status.success() {
        Ok(())
    } else {
        absent(docker, &call, &answer)
    }
}

/// Nothing where a failure says that there is no such image, else the failure.
fn absent(docker: &Docker, call: &Call, answer: &Answer) -> Result<(), EngineError> {
    if diagnose::no_such(&one_line(&answer.stderr), "image") {
        Ok(())
    } else {
        Err(docker.failed(call, answer))
    }
}

/// One row a line, each a JSON array of columns.
fn rows<C: serde::de::DeserializeOwned, T>(
    call: &Call,
    stdout: &[u8],
    read: impl Fn(C) -> Option<T>,
) -> Result<Vec<T>, EngineError> {
    stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line)
                .ok()
                .and_then(&read)
                .ok_or_else(|| call.garbage(line))
        })
        .collect()
}

pub fn is_hex_id(id: &str) -> bool {
    id.len() == 64
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_image_id(id: &str) -> bool {
    id.strip_prefix("sha256:").is_some_and(is_hex_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::engine::docker::fake::Fake;

    const ID: &str = "df60ebb59db0c0b2fa48ef53303716e36edb0de369dd550d3365971890975d6e";

    #[test]
    fn containers_with_and_without_a_proper_owner() {
        let fake = Fake::new(&format!(
            "echo '[\"{ID}\",\"a\",\"r\",\"b\",\"1\",\"2\"]'; echo '[\"{ID}\",\"b\",\"r,x=1\",\"\",\"-1\",\"\"]'"
        ));
        let found = fake.docker().inspect().unwrap();
        assert_eq!(
            found[0].owner,
            Some(Owner {
                run: "r".into(),
                boot: "b".into(),
                pid: 1,
                pid_start: 2
            })
        );
        assert_eq!((found[1].name.as_str(), &found[1].owner), ("b", &None));
        let call = &fake.calls()[0];
        assert!(
            call.contains(&"label=dev.docker-test.run".to_string()),
            "{call:?}"
        );
    }

    #[test]
    fn anything_but_rows_with_ids_is_garbage() {
        for line in [
            "WARNING: it is late".to_string(),
            format!("\\033[31m{ID}"),
            format!("[\"{}\",\"a\",\"\",\"\",\"\",\"\"]", &ID[1..]),
            format!("[\"--privileged{}\",\"a\",\"\",\"\",\"\",\"\"]", &ID[12..]),
            format!("[\"{ID}\",\"a\"]"),
            format!("[\"{ID}\",\"a\",\"\",\"\",\"\""),
        ] {
            let error = Fake::new(&format!("printf '%b\\n' '{line}'"))
                .docker()
                .inspect()
                .unwrap_err();
            assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
            assert!(!error.to_string().contains('\x1b'));
        }
    }

    #[test]
    fn a_container_that_is_gone_is_removed() {
        for script in [
            "echo 'Error: No such container: x' >&2; exit 1",
            "echo 'Error response from daemon: removal of container x is already in progress' >&2; exit 1",
            "echo 'Error response from daemon: No such container: x' >&2",
            "echo x",
        ] {
            let fake = Fake::new(script);
            fake.docker().remove("x").unwrap();
            assert_eq!(fake.calls(), [["rm", "--force", "--", "x"]]);
        }
        let error = Fake::new("echo 'Error: in use' >&2; exit 1")
            .docker()
            .remove("x")
            .unwrap_err();
        assert!(matches!(error, EngineError::Failed { .. }), "{error}");
    }

    #[test]
    fn networks_are_listed_made_and_removed_by_name() {
        let fake = Fake::new(&format!(
            "[ $2 != ls ] || echo '[\"{ID}\",\"docker-test-r\",\"r\",\"b\",\"1\",\"2\"]'"
        ));
        let found = fake.docker().networks().unwrap();
        let [Found { id, name, owner }] = found.as_slice() else {
            panic!("{found:?}")
        };
        let owner = owner.clone().unwrap();
        assert_eq!((id.as_str(), name), (ID, &owner.network_name()));
        fake.docker().make_network(&owner).unwrap();
        fake.docker().remove_network(name).unwrap();
        let calls = fake.calls();
        assert_eq!(
            calls[1],
            [
                "network",
                "create",
                "--internal",
                "--opt=com.docker.network.bridge.inhibit_ipv4=true",
                "--opt=com.docker.network.bridge.enable_icc=false",
                "--label=dev.docker-test.run=r",
                "--label=dev.docker-test.boot=b",
                "--label=dev.docker-test.pid=1",
                "--label=dev.docker-test.pid-start=2",
                "docker-test-r",
            ]
        );
        assert_eq!(calls[2], ["network", "rm", "--", "docker-test-r"]);
    }

    #[test]
    fn podman_lists_networks_in_its_own_form_and_makes_them_with_its_own_options() {
        let fake = Fake::new(
            r#"[ $2 != ls ] || echo '[{"name":"n","id":"i","labels":{"dev.docker-test.run":"r","dev.docker-test.boot":"b","dev.docker-test.pid":"1","dev.docker-test.pid-start":"2"}},{"name":"m","id":"j"}]'"#,
        );
        let found = fake.podman().networks().unwrap();
        let owner = found[0].owner.clone().unwrap();
        assert_eq!((owner.run.as_str(), owner.pid_start), ("r", 2));
        assert_eq!((found[1].name.as_str(), &found[1].owner), ("m", &None));
        fake.podman().make_network(&owner).unwrap();
        let calls = fake.calls();
        assert_eq!(
            calls[1][..4],
            ["network", "create", "--internal", "--disable-dns"]
        );
    }

    #[test]
    fn a_network_that_is_gone_is_removed() {
        for words in [
            "Error: No such network: x",
            "Error response from daemon: network x not found",
            "Error: unable to find network with name or ID x: network not found",
        ] {
            let gone = Fake::new(&format!("echo '{words}' >&2; exit 1"));
            gone.docker().remove_network("x").unwrap();
        }
        let used = Fake::new(
            "echo 'error while removing network: network x id y has active endpoints' >&2; exit 1",
        );
        used.docker().remove_network("x").unwrap_err();
    }

    #[test]
    fn an_image_is_there_or_not() {
        let there = Fake::new(&format!("echo '[\"sha256:{ID}\",42,null]'"));
        assert_eq!(there.docker().image("a:1").unwrap().unwrap().size_bytes, 42);
        let missing = Fake::new("echo 'Error: No such image: a:1' >&2; exit 1");
        assert_eq!(missing.docker().image("a:1").unwrap(), None);
        let silent = Fake::new("true");
        let error = silent.docker().image("a:1").unwrap_err();
        assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
        let down = Fake::new("echo 'Cannot connect to the Docker daemon' >&2; exit 1");
        let error = down.docker().image("a:1").unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
        down.docker().image("--help").unwrap_err();
        assert_eq!(down.calls().len(), 1);
    }

    #[test]
    fn an_image_says_what_it_is_made_of() {
        let content = format!("sha256:{}", ID.replace('d', "0"));
        let image = |labels: &str| {
            let fake = Fake::new(&format!("echo '[\"sha256:{ID}\",42,{labels}]'"));
            let image = fake.docker().image("a:1").unwrap().unwrap();
            let digest = |digest: Option<ContentDigest>| digest.unwrap().to_string();
            assert_eq!(digest(image.digest()), format!("sha256:{ID}"));
            digest(image.digest_of_ours())
        };
        let labelled = format!(r#"{{"a":"b","dev.docker-test.content":"{content}"}}"#);
        assert_eq!(image(&labelled), content);
        for none in ["null", "{}", r#"{"dev.docker-test.content":"latest"}"#] {
            assert_eq!(image(none), format!("sha256:{ID}"), "{none}");
        }
    }

    #[test]
    fn podman_names_images_in_its_own_way() {
        let there = Fake::new(&format!("echo '[\"{ID}\",42,{{}}]'"));
        let image = there.podman().image("a:1").unwrap().unwrap();
        assert_eq!(image.id, format!("sha256:{ID}"));
        assert!(
            there.calls()[0]
                .contains(&"[{{json .ID}},{{json .Size}},{{json .Labels}}]".to_string())
        );
        let missing =
            Fake::new("echo 'Error: inspecting object: a:1: image not known' >&2; exit 125");
        assert_eq!(missing.podman().image("a:1").unwrap(), None);
        let listed = Fake::new(&format!(
            "echo '[\"sha256:{ID}\",\"localhost/docker-test/host\",\"1\"]'"
        ));
        let found = listed.podman().images().unwrap();
        assert_eq!(found[0].reference.as_deref(), Some("docker-test/host:1"));
    }

    #[test]
    fn only_images_of_our_name_or_of_none_are_ours() {
        let fake = Fake::new(&format!(
            "for name in docker-test/isolation '<none>' mine/derived; do echo \"[\\\"sha256:{ID}\\\",\\\"$name\\\",\\\"1\\\"]\"; done"
        ));
        let found = fake.docker().images().unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|image| image.reference.as_deref())
            .collect();
        assert_eq!(names, [Some("docker-test/isolation:1"), None]);
    }
}
