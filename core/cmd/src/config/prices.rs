//! The prices of the provider of the bucket.

use super::error::Error;
use super::load::Loaded;
use davy_archive::Prices;

/// Reads `[bucket.prices]`. What is not set has no price.
pub(super) fn configured(loaded: &Loaded) -> Result<Prices, Error> {
    let price = |name: &str| {
        let key = format!("bucket.prices.{name}");
        let expected = "a price of at least 0, such as 0.005";
        loaded.parse(&key, expected, |text| match text {
            "" => Some(None),
            text => {
                let price: f64 = text.parse().ok()?;
                (price.is_finite() && price >= 0.0).then_some(Some(price))
            }
        })
    };
    let prices = Prices {
        currency: loaded.value("bucket.prices.currency").trim().to_owned(),
        put_per_1000: price("put_per_1000")?,
        list_per_1000: price("list_per_1000")?,
        get_per_1000: price("get_per_1000")?,
        delete_per_1000: price("delete_per_1000")?,
        storage_per_gb_month: price("storage_per_gb_month")?,
        transfer_per_gb: price("transfer_per_gb")?,
    };
    if prices.is_any() && prices.currency.is_empty() {
        return Err(Error(
            "[bucket.prices] has prices but no currency; set bucket.prices.currency, such as \"USD\""
                .to_owned(),
        ));
    }
    Ok(prices)
}
