//! The compose file of a run's own replicas: the same containers as its own workers would be, which
//! dial in.

use std::path::Path;
use std::time::Duration;

use super::request::Class;
use super::services::{MEETING, dialling};
use super::spec::PROGRAM;
use crate::engine::compose::{ComposeFile, Service};
use crate::engine::{Bind, ContainerSpec, Docker, EngineError};

/// A compose file, and how many containers of each of its services there are to be.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// The file's text.
    pub file: String,
    /// Service and count.
    pub scale: Vec<(String, u32)>,
}

/// Replicas for these classes: `count` of them, and at least one of each size. `work`: how much there is
/// to do in each class, in any unit. `share`: the folder with the socket.
///
/// # Errors
/// A path cannot be given to compose.
pub fn replicas(
    classes: &[Class],
    work: &[f64],
    count: usize,
    share: &Path,
    docker: &Docker,
) -> Result<Replicas, EngineError> {
    let sizes = sizes(classes, work);
    let counts = divide(
        count,
        &sizes.iter().map(|(_, work)| *work).collect::<Vec<f64>>(),
    );
    let mut services = Vec::new();
    let mut scale = Vec::new();
    for ((class, _), count) in sizes.iter().zip(counts) {
        let class = &classes[*class];
        let name = format!("test-parallel-{}", services.len() + 1);
        services.push(service(class, &name, share, docker)?);
        scale.push((name, count));
    }
    let file = ComposeFile {
        comment: "Replicas of one run, which removes them at its end.".into(),
        services,
        volumes: Vec::new(),
    };
    Ok(Replicas {
        file: file.render()?,
        scale,
    })
}

/// The first class of each kind of container, with the work of all classes of that kind.
fn sizes(classes: &[Class], work: &[f64]) -> Vec<(usize, f64)> {
    let mut sizes: Vec<(usize, f64)> = Vec::new();
    for (at, class) in classes.iter().enumerate() {
        let own = work.get(at).copied().unwrap_or_default();
        let same = |(first, _): &&mut (usize, f64)| {
            classes[*first].spec == class.spec && classes[*first].image == class.image
        };
        match sizes.iter_mut().find(same) {
            Some((_, work)) => *work += own,
            None => sizes.push((at, own)),
        }
    }
    sizes
}

/// Divides `count` in proportion to `work`: one for each first, then each to whoever has most to do
/// for each that it has.
fn divide(count: usize, work: &[f64]) -> Vec<u32> {
    let mut counts = vec![1; work.len()];
    for _ in work.len()..count {
        let load = |at: &usize| work[*at] / f64::from(counts[*at]);
        let most = (0..work.len()).max_by(|a, b| load(a).total_cmp(&load(b)));
        if let Some(most) = most {
            counts[most] += 1;
        }
    }
    counts
}

fn service(
    class: &Class,
    name: &str,
    share: &Path,
    docker: &Docker,
) -> Result<Service, EngineError> {
    let mut spec = ContainerSpec {
        argv: dialling(PROGRAM, &class.image, &["--once"]),
        ..class.spec.clone()
    };
    spec.binds.push(Bind {
        source: share.to_path_buf(),
        target: MEETING.into(),
    });
    let seccomp = docker.seccomp_file(spec.hardening.seccomp)?;
    Ok(Service {
        comment: String::new(),
        name: name.into(),
        seccomp: Some(seccomp.to_string_lossy().into_owned()),
        spec: Docker::with_mounts_below(spec),
        variables: None,
        build: None,
        labels: true,
        profiles: Vec::new(),
        depends_on: Vec::new(),
        replicas: None,
        // One that cannot be cleaned, or was given up, is replaced by itself.
        restart: true,
        grace: Duration::from_secs(2),
        capabilities: Vec::new(),
        places: Vec::new(),
        argument: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_go_where_the_work_is() {
        assert_eq!(divide(4, &[1.0]), [4]);
        assert_eq!(divide(4, &[9.0, 1.0]), [3, 1]);
        assert_eq!(divide(6, &[1.0, 1.0, 1.0]), [2, 2, 2]);
        assert_eq!(divide(1, &[1.0, 5.0]), [1, 1], "one of each at least");
        assert_eq!(divide(3, &[0.0, 0.0]), [1, 2]);
        assert_eq!(divide(2, &[]), [0; 0]);
    }
}
