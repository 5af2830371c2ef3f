//! The networks of the running gate: loaded at the start, or, where a provider first builds its engines for minutes, on the
//! lane's own thread, while the page already tells so.

use std::sync::Arc;
use std::time::Instant;

use crate::config::{self, Config};
use crate::gate::lane::Sight;
use crate::picture::Picture;
use crate::telemetry::{Computing, Telemetry};
use crate::vision::model::Model;
use crate::vision::{Reading, Vision, VisionError};
use crate::web::settings::Switches;

/// Networks that are there, or will be.
pub enum Eyes {
    /// They are.
    Loaded(Box<Vision>),
    /// The provider may have to build its engines first.
    ToBuild(Box<config::Vision>),
}

impl Eyes {
    /// Loads them, unless that may take minutes. What is plainly wrong, a missing model or setting, is found here all the
    /// same.
    pub fn open(config: &Config) -> Result<Eyes, VisionError> {
        let mut settings = config.vision.clone();
        settings.engine_cache.get_or_insert_with(|| config.data.folder.join("engines"));
        if !settings.provider.builds_engines() {
            return Vision::load(&settings).map(|vision| Eyes::Loaded(Box::new(vision)));
        }
        let second = settings.second_reader.then_some("second_reader");
        for network in ["detector", "corners", "reader"].into_iter().chain(second) {
            Model::read(&settings, network)?;
        }
        Ok(Eyes::ToBuild(Box::new(settings)))
    }

    /// Waits for them, and tells what they run on.
    pub fn load(self, settings: &config::Vision, telemetry: &Telemetry) -> Result<Vision, VisionError> {
        let vision = match self {
            Eyes::Loaded(vision) => *vision,
            Eyes::ToBuild(settings) => {
                let (provider, since) = (settings.provider.name(), Instant::now());
                telemetry.computes(Computing::Building { provider, since });
                tracing::info!(provider, "building the engine; the first time this may take minutes");
                let vision = Vision::load(&settings)?;
                tracing::info!(provider, seconds = since.elapsed().as_secs(), "the engine is built");
                vision
            }
        };
        let (provider, instead_of) = (vision.provider().name(), vision.instead_of().map(str::to_owned));
        telemetry.computes(Computing::On { provider, instead_of });
        tracing::info!("{}", vision.describe(settings));
        Ok(vision)
    }
}

/// Reads what lies in the lane that was drawn on the page, or else in the configured one.
pub struct DrawnLane {
    /// The networks.
    pub vision: Vision,
    /// What was drawn.
    pub switches: Arc<Switches>,
    /// What is configured.
    pub configured: Option<[f32; 4]>,
}

impl DrawnLane {
    /// The lane; the whole picture, drawn as one, is none: it is looked at as a frame is.
    fn drawn(&self) -> Option<[f32; 4]> {
        self.switches.now().lane.or(self.configured).filter(|lane| *lane != [0.0, 0.0, 1.0, 1.0])
    }
}

impl Sight for DrawnLane {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        self.vision.look_at(self.drawn());
        Ok(self.vision.read(picture)?)
    }

    fn lane(&self) -> Option<[f32; 4]> {
        self.drawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    fn config(provider: Provider, fallback: Vec<Provider>) -> Config {
        let folder = std::env::temp_dir();
        let vision = config::Vision { provider, fallback, ..Default::default() };
        Config { vision, data: config::Data { folder, ..Default::default() }, ..Default::default() }
    }

    #[test]
    fn a_provider_that_cannot_be_had_is_an_error_or_is_replaced_and_that_is_told() {
        // The library that `make build` installs has the CPU alone.
        let wanted = config(Provider::Cuda, Vec::new());
        assert!(Eyes::open(&wanted).is_err(), "never silently the CPU");
        let replaced = config(Provider::Cuda, vec![Provider::Acl, Provider::Cpu]);
        let telemetry = Telemetry::default();
        let eyes = Eyes::open(&replaced).unwrap();
        assert!(eyes.load(&replaced.vision, &telemetry).unwrap().instead_of().unwrap().starts_with("cuda: "));
        let Computing::On { provider, instead_of } = telemetry.computing() else { panic!("it computes") };
        assert_eq!((provider, instead_of.is_some()), ("cpu", true));
    }

    #[test]
    fn engines_are_built_on_the_lanes_thread_and_their_failure_is_an_error_there() {
        let config = config(Provider::Tensorrt, Vec::new());
        let telemetry = Telemetry::default();
        let eyes = Eyes::open(&config).unwrap();
        assert!(matches!(eyes, Eyes::ToBuild(_)), "nothing is waited for at the start");
        assert!(eyes.load(&config.vision, &telemetry).is_err());
        assert!(matches!(telemetry.computing(), Computing::Building { provider: "tensorrt", .. }));
    }
}
