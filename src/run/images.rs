//! Makes sure that an image is there: ours are built where they are missing.

use std::path::{Path, PathBuf};

use super::spec::Root;
use crate::engine::{
    Bind, Docker, Engine, EngineError, Image, SeccompProfile, host_binds, host_reference,
};
use crate::engine::{BuildError, BuildRequest, Built, Recipe, build};
use crate::model::ImageChoice;

/// Where a project's own runtime is in an image that is not ours to build.
pub const RUNTIME_FOLDER: &str = "/opt/docker-test/bin";

/// What is needed to make an image ready.
pub struct Workshop<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// What builds images for it; absent where nothing does.
    pub builder: Option<&'a Docker>,
    /// This program's file, which goes into our images.
    pub program: PathBuf,
    /// The project's own interpreter.
    pub runtime: Option<PathBuf>,
    /// Nothing is to be built or asked: an image is taken to be there.
    pub dry: bool,
    /// Told what takes long, and what is not as it was asked for: one safe line each.
    pub tell: &'a mut dyn FnMut(&str),
}

/// An image cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The engine does not do its part.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Workshop<'_> {
    /// The image, ready. `explicit`: the user named it, so that there is no other way than it.
    ///
    /// # Errors
    /// It cannot be built, or the engine refuses.
    pub fn prepare(&mut self, choice: &ImageChoice, explicit: bool) -> Result<Root, ImageError> {
        match choice {
            ImageChoice::Isolation => self.ours(Recipe::Isolation, explicit),
            ImageChoice::Full => self.ours(Recipe::Full, explicit),
            ImageChoice::Host => self.host(),
            ImageChoice::Named(reference) => self.named(reference),
        }
    }

    /// An image that the user names. Whoever starts a container from it looks for it, so that only
    /// an engine that answers at once is asked here.
    fn named(&mut self, reference: &str) -> Result<Root, ImageError> {
        let mut digest = None;
        if !self.dry && self.builder.is_none() {
            let image = self.engine.image(reference)?;
            let image = image.ok_or_else(|| self.not_here(reference))?;
            // The label of an image of ours is also in those that are built on it.
            digest = image.digest();
        }
        Ok(Root {
            word: reference.to_owned(),
            reference: reference.to_owned(),
            seccomp: SeccompProfile::Isolation,
            exec: false,
            binds: self.runtime_bind(),
            digest,
        })
    }

    fn ours(&mut self, recipe: Recipe, explicit: bool) -> Result<Root, ImageError> {
        let reference = recipe.reference(self.runtime.as_deref())?;
        let image = match self.dry {
            true => None,
            false => self.engine.image(&reference)?,
        };
        let mut digest = image.as_ref().and_then(Image::digest_of_ours);
        if !self.dry && image.is_none() {
            let Some(builder) = self.builder else {
                if explicit {
                    return Err(self.not_here(&reference).into());
                }
                (self.tell)(&format!(
                    "{reference} is not here: using this machine's own programs instead (image: host)"
                ));
                return self.host();
            };
            (self.tell)(&format!("building {reference}, which is missing"));
            match self.build(builder, recipe, None, false, false) {
                Ok(built) => digest = built.digest,
                Err(BuildError::BaseUnavailable { base, .. }) if !explicit => {
                    (self.tell)(&format!(
                        "{base} cannot be had: using this machine's own programs instead (image: host)"
                    ));
                    return self.host();
                }
                Err(error) => return Err(error.into()),
            }
        }
        let full = recipe == Recipe::Full;
        Ok(Root {
            word: recipe.as_str().to_owned(),
            reference,
            seccomp: if full {
                SeccompProfile::Full
            } else {
                SeccompProfile::Isolation
            },
            exec: full,
            binds: Vec::new(),
            digest,
        })
    }

    /// Where nothing builds images they come from elsewhere.
    fn not_here(&self, reference: &str) -> EngineError {
        EngineError::Unavailable {
            message: format!(
                "the engine {} has no image {reference} and builds none",
                self.engine.kind().as_str()
            ),
            hint: format!(
                "where it was built: `docker save {reference} -o image.tar`; here: `docker-test image import {reference} image.tar`"
            ),
        }
    }

    fn host(&mut self) -> Result<Root, ImageError> {
        let mut binds = host_binds();
        binds.extend(self.runtime_bind());
        Ok(Root {
            word: "host".into(),
            reference: if self.dry {
                host_reference()
            } else {
                self.engine.host_image()?
            },
            seccomp: SeccompProfile::Isolation,
            exec: false,
            binds,
            // This machine's own programs, and no image.
            digest: None,
        })
    }

    fn runtime_bind(&self) -> Vec<Bind> {
        let name = self.runtime.as_deref().and_then(Path::file_name);
        let bind = |(source, name): (&PathBuf, _)| Bind {
            source: source.clone(),
            target: Path::new(RUNTIME_FOLDER).join::<&std::ffi::OsStr>(name),
        };
        self.runtime
            .as_ref()
            .zip(name)
            .map(bind)
            .into_iter()
            .collect()
    }

    /// Builds one of our images.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(
        &mut self,
        builder: &Docker,
        recipe: Recipe,
        base_image: Option<String>,
        pull: bool,
        no_cache: bool,
    ) -> Result<Built, BuildError> {
        let request = BuildRequest {
            recipe,
            base_image,
            pull,
            no_cache,
            runtime: self.runtime.clone(),
            binary: self.program.clone(),
        };
        build(builder, &request, self.tell)
    }
}
