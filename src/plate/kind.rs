//! What a plate tells beside its text: its ground colour, its form, and the kind that follows from both.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ground colour that the reader sees, in the order of its `colour` output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Small cars with combustion engines.
    Blue,
    /// Small new-energy cars: white running into green.
    Green,
    /// Large new-energy vehicles: yellow on the left, green on the right.
    YellowGreen,
    /// Large vehicles, trailers, driving schools.
    Yellow,
    /// Police, emergency rescue, armed police, army.
    White,
    /// Embassies, consulates, Hong Kong and Macao.
    Black,
}

impl Colour {
    /// Every colour, in the order of the reader's output.
    pub const ALL: [Colour; 6] =
        [Colour::Blue, Colour::Green, Colour::YellowGreen, Colour::Yellow, Colour::White, Colour::Black];

    /// The likeliest of them, given a probability for each in the order of [`Colour::ALL`].
    pub fn likeliest(probabilities: &[f32; 6]) -> Colour {
        let best = (0..6).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        Colour::ALL[best.unwrap_or(0)]
    }
}

/// What a plate's text says about the vehicle. Blue and large yellow plates share one form (`苏F12345`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Province, letter, five letters or digits: blue small cars, yellow large ones.
    Standard,
    /// Eight characters, the new-energy letter third: small cars.
    NewEnergySmall,
    /// Eight characters, the new-energy letter last: large vehicles.
    NewEnergyLarge,
    /// …警.
    Police,
    /// …应急.
    Emergency,
    /// 使….
    Embassy,
    /// …领.
    Consulate,
    /// 粤Z…港 or 粤Z…澳.
    HongKongMacao,
    /// …学.
    Learner,
    /// …挂.
    Trailer,
    /// WJ….
    ArmedPolice,
    /// Two letters and five letters or digits.
    Military,
}

impl Form {
    /// May a plate of this form have this ground?
    pub fn has(self, colour: Colour) -> bool {
        use Colour::{Black, Blue, Green, White, Yellow, YellowGreen};
        match self {
            Form::Standard => matches!(colour, Blue | Yellow | Black),
            Form::NewEnergySmall | Form::NewEnergyLarge => matches!(colour, Green | YellowGreen),
            Form::Learner | Form::Trailer => colour == Yellow,
            Form::Police | Form::Emergency | Form::ArmedPolice | Form::Military => colour == White,
            Form::Embassy | Form::Consulate | Form::HongKongMacao => colour == Black,
        }
    }
}

/// A plate's kind: its form together with the ground colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Small car.
    Blue,
    /// New energy, small or large.
    Green,
    /// Large vehicle.
    Yellow,
    /// …警.
    Police,
    /// …应急.
    Emergency,
    /// 使….
    Embassy,
    /// …领, or a standard form on black (old consular and foreigners' plates).
    Consulate,
    /// 粤Z…港, 粤Z…澳.
    HongKongMacao,
    /// …学.
    Learner,
    /// …挂.
    Trailer,
    /// WJ….
    ArmedPolice,
    /// The army's.
    Military,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Blue => "blue",
            Kind::Green => "green",
            Kind::Yellow => "yellow",
            Kind::Police => "police",
            Kind::Emergency => "emergency",
            Kind::Embassy => "embassy",
            Kind::Consulate => "consulate",
            Kind::HongKongMacao => "hong_kong_macao",
            Kind::Learner => "learner",
            Kind::Trailer => "trailer",
            Kind::ArmedPolice => "armed_police",
            Kind::Military => "military",
        })
    }
}
