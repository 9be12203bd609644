//! What the provider of the bucket charges.

/// Prices of a provider. What has no price is left out of charges, and named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// Currency of all prices, such as `USD`.
    pub currency: String,
    /// Of 1,000 writes.
    pub put_per_1000: Option<f64>,
    /// Of 1,000 listings; each page is one.
    pub list_per_1000: Option<f64>,
    /// Of 1,000 reads, those of sizes included.
    pub get_per_1000: Option<f64>,
    /// Of 1,000 deletions.
    pub delete_per_1000: Option<f64>,
    /// Of a GB (2^30 bytes) that is stored for a month.
    pub storage_per_gb_month: Option<f64>,
    /// Of a GB (2^30 bytes) that is read.
    pub transfer_per_gb: Option<f64>,
}

const GB: f64 = (1u64 << 30) as f64;

impl Prices {
    /// Whether anything has a price.
    pub fn is_any(&self) -> bool {
        let all = [
            self.put_per_1000,
            self.list_per_1000,
            self.get_per_1000,
            self.delete_per_1000,
            self.storage_per_gb_month,
            self.transfer_per_gb,
        ];
        all.iter().any(Option::is_some)
    }

    /// The price of 1,000 requests of a kind, as in metrics.
    fn per_1000(&self, kind: &str) -> Option<f64> {
        match kind {
            "put" => self.put_per_1000,
            "list" => self.list_per_1000,
            "get" | "head" => self.get_per_1000,
            "delete" => self.delete_per_1000,
            _ => None,
        }
    }

    /// The charge of requests of a kind, as in metrics, without the transfer of what they read.
    pub(crate) fn requests(&self, kind: &str, requests: u64) -> Option<f64> {
        Some(self.per_1000(kind)? * requests as f64 / 1_000.0)
    }

    /// The charge of reading these bytes.
    pub(crate) fn transfer(&self, bytes: u64) -> Option<f64> {
        Some(self.transfer_per_gb? * bytes as f64 / GB)
    }

    /// The charge of storing these bytes for a month.
    pub(crate) fn storage(&self, bytes: u64) -> Option<f64> {
        Some(self.storage_per_gb_month? * bytes as f64 / GB)
    }

    /// The settings without a price.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let all = [
            ("put_per_1000", self.put_per_1000),
            ("list_per_1000", self.list_per_1000),
            ("get_per_1000", self.get_per_1000),
            ("delete_per_1000", self.delete_per_1000),
            ("storage_per_gb_month", self.storage_per_gb_month),
            ("transfer_per_gb", self.transfer_per_gb),
        ];
        let missing = all.into_iter().filter(|(_, price)| price.is_none());
        missing.map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_are_those_of_the_price_table_and_missing_prices_are_named() {
        let prices = Prices {
            currency: "USD".to_owned(),
            put_per_1000: Some(0.005),
            get_per_1000: Some(0.0004),
            storage_per_gb_month: Some(0.023),
            transfer_per_gb: Some(0.09),
            ..Prices::default()
        };
        let is = |charge: f64, expected: f64| (charge - expected).abs() < 1e-9;
        let charge = |charge: Option<f64>| charge.expect("a price");
        assert!(is(charge(prices.requests("put", 2_000)), 0.01));
        assert!(is(charge(prices.requests("get", 10_000)), 0.004));
        assert!(is(charge(prices.requests("head", 10_000)), 0.004));
        assert!(is(charge(prices.transfer(3 << 30)), 0.27));
        assert!(is(charge(prices.storage(10 << 30)), 0.23));
        assert_eq!(prices.requests("delete", 500), None);
        assert_eq!(prices.missing(), ["list_per_1000", "delete_per_1000"]);
        assert!(prices.is_any() && !Prices::default().is_any());
    }
}
