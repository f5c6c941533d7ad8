//! The Regions that Route 53 accepts as latency labels, and the hosted zones of AWS's own names.
//! Data and look-ups only: no rule is decided here.
//!
//! Sources: the `ResourceRecordSetRegion` enum of AWS's API model; the public endpoint tables of
//! API Gateway and Elastic Load Balancing.

/// The 39 legal values of a record set's `Region`, in the order of AWS's API model.
pub const LATENCY_REGIONS: [&str; 39] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-central-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "eu-north-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "ap-east-1",
    "me-south-1",
    "me-central-1",
    "ap-south-1",
    "ap-south-2",
    "af-south-1",
    "eu-south-1",
    "eu-south-2",
    "ap-southeast-4",
    "il-central-1",
    "ca-west-1",
    "ap-southeast-5",
    "mx-central-1",
    "ap-southeast-7",
    "us-gov-east-1",
    "us-gov-west-1",
    "ap-east-2",
    "ap-southeast-6",
    "eusc-de-east-1",
];

/// The checker Regions of health checks.
pub const CHECKER_REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

/// Hosted zone of every CloudFront distribution and edge-optimized API Gateway domain.
pub const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";
/// Hosted zone of every Global Accelerator name.
pub const GLOBAL_ACCELERATOR_ZONE: &str = "Z2BJ6XQ5FK7U4H";

/// Region, and the hosted zones of its Regional API Gateway domains, its application load
/// balancers and its network load balancers. Ids that public sources contradict are left out.
const ZONES: &[(&str, &str, &str, &str)] = &[
    ("us-east-1", "Z1UJRXOUMOOFQ8", "Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"),
    ("us-east-2", "ZOJJZC49E0EPZ", "Z3AADJGX6KTTL2", "ZLMOA37VPKANP"),
    ("us-west-1", "Z2MUQ32089INYE", "Z368ELLRRE2KJ0", "Z24FKFUX50B4VW"),
    ("us-west-2", "Z2OJLYMUO9EFXC", "Z1H1FL5HABSF5", "Z18D5FSROUN65G"),
    ("ca-central-1", "Z19DQILCV0OWEC", "ZQSVJUPU6J1EY", "Z2EPGBW3API2WT"),
    ("ca-west-1", "Z04745493436AWVTG1OQY", "Z06473681N0SF6OS049SD", "Z02754302KBB00W2LKWZ9"),
    ("mx-central-1", "Z00020171WIGL5M88SHRM", "Z023552324OKD1BB28BH5", "Z02031231H3ID6HYJ9A7U"),
    ("sa-east-1", "ZCMLWB8V5SYIT", "Z2P70J7HTTTPLU", "ZTK26PT1VY4CU"),
    ("eu-west-1", "ZLY8HYME6SFDD", "Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"),
    ("eu-west-2", "ZJ5UAJN8Y3Z2Q", "ZHURV8PSTC4K8", "ZD4D7Y8KGAS4G"),
    ("eu-west-3", "Z3KY65QIEKYHQQ", "Z3Q77PNBQS71R4", "Z1CMS0P5QUZ6D5"),
    ("eu-central-1", "Z1U9ULNL0V5AJ3", "Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"),
    ("eu-central-2", "Z09222482MK253X48U76H", "Z06391101F2ZOEP8P5EB3", "Z02239872DOALSIDCX66S"),
    ("eu-north-1", "Z3UWIKFBOOGXPP", "Z23TAZ6LKFMNIO", "Z1UDT6IFJ4EJM"),
    ("eu-south-1", "Z3BT4WSQ9TDYZV", "Z3ULH7SSC9OV64", "Z23146JA1KNAFP"),
    ("eu-south-2", "Z02499852UI5HEQ5JVWX3", "Z0956581394HF5D5LXGAP", "Z1011216NVTVYADP1SSV"),
    ("il-central-1", "Z07264553HBI44N5X2CKP", "Z09170902867EHPV2DABU", "Z0313266YDI6ZRHTGQY4"),
    ("me-south-1", "Z20ZBPC0SS8806", "ZS929ML54UICD", "Z3QSRYVP46NYYV"),
    ("me-central-1", "Z08780021BKYYY8U0YHTV", "Z08230872XQRWHG2XF6I", "Z00282643NTTLPANJJG2P"),
    ("af-south-1", "Z2DHW2332DAMTN", "Z268VQBMOI5EKX", "Z203XCE67M25HM"),
    ("ap-east-1", "Z3FD1VL90ND7K5", "Z3DQVH9N71FHZ0", "Z12Y7K3UBGUAD1"),
    ("ap-east-2", "Z02909591O7FG9Q56HWB1", "Z02789141MW7T1WBU19PO", "Z09176273OC2HWIAUNYW"),
    ("ap-south-1", "Z3VO1THU9YC4UR", "ZP97RAFLXTNZK", "ZVDDRBQ08TROA"),
    ("ap-south-2", "Z0853509Q1135NJ66RUH", "Z0173938T07WNTVAEPZN", "Z0711778386UTO08407HT"),
    ("ap-northeast-1", "Z1YSHQZHG15GKL", "Z14GRHDCWA56QT", "Z31USIVHYNEOWT"),
    ("ap-northeast-2", "Z20JF4UZKIW1U8", "ZWKZPGTI48KDX", "ZIBE1TIR4HY56"),
    ("ap-northeast-3", "Z22ILHG95FLSZ2", "Z5LXEXXYW11ES", "Z1GWIQ4HH19I5X"),
    ("ap-southeast-1", "ZL327KTPIQFUL", "Z1LMS91P8CMLE5", "ZKVM4W9LS7TM"),
    ("ap-southeast-2", "Z2RPCDW04V8134", "Z1GM3OXH4ZPM65", "ZCT6FZBF4DROD"),
    ("ap-southeast-3", "Z10132843TYUYSLUG4HA3", "Z08888821HLRG5A9ZRTER", "Z01971771FYVNCOVWJU1G"),
    ("ap-southeast-4", "Z092189423Y7RJK61311D", "Z09517862IB2WZLPXG76F", "Z01156963G8MIIL7X90IV"),
    ("ap-southeast-5", "Z0314042F0KBUTZ3X5HF", "Z06010284QMVVW7WO5J", "Z026317210H9ACVTRO6FB"),
    ("ap-southeast-6", "", "Z023301818UFJ50CIO0MV", ""),
    ("ap-southeast-7", "Z048508712PZLK5NKG8R0", "Z0390008CMBRTHFGWBCB", "Z054363131YWATEMWRG5L"),
    ("us-gov-east-1", "Z3SE9ATJYCRCZJ", "Z166TLBEWOO7G0", "Z1ZSMQQ6Q24QQ8"),
    ("us-gov-west-1", "Z1K6XKP9SAGWDV", "Z33AYJ8TM3BH4J", "ZMG1MZ2THAWF1"),
    ("eu-central-2", "Zurich", "47.38, 8.54", "yes"),
];

/// The service that owns an AWS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsName<'a> {
    /// `*.cloudfront.net`.
    CloudFront,
    /// `*.awsglobalaccelerator.com`.
    GlobalAccelerator,
    /// `*.execute-api.REGION.amazonaws.com`.
    ApiGateway(&'a str),
    /// `*.REGION.elb.amazonaws.com`: an application or classic load balancer.
    ApplicationLoadBalancer(&'a str),
    /// `*.elb.REGION.amazonaws.com`.
    NetworkLoadBalancer(&'a str),
}

/// Reads whose name `dns_name` (lower case, without the trailing dot) is; `None` if not AWS's.
#[must_use]
pub fn aws_name(dns_name: &str) -> Option<AwsName<'_>> {
    if dns_name.ends_with(".cloudfront.net") {
        return Some(AwsName::CloudFront);
    }
    if dns_name.ends_with(".awsglobalaccelerator.com") {
        return Some(AwsName::GlobalAccelerator);
    }
    let rest = dns_name
        .strip_suffix(".amazonaws.com.cn")
        .or_else(|| dns_name.strip_suffix(".amazonaws.com"))?;
    let mut labels = rest.rsplit('.');
    let (last, before) = (labels.next()?, labels.next()?);
    match (before, last) {
        ("execute-api", region) => Some(AwsName::ApiGateway(region)),
        (region, "elb") => Some(AwsName::ApplicationLoadBalancer(region)),
        ("elb", region) => Some(AwsName::NetworkLoadBalancer(region)),
        _ => None,
    }
}

/// The hosted zone that an alias to `name` must give; `None` where the tables do not know it.
#[must_use]
pub fn alias_zone(name: AwsName<'_>) -> Option<&'static str> {
    let row = |region: &str| ZONES.iter().find(|row| row.0 == region);
    let id = match name {
        AwsName::CloudFront => CLOUDFRONT_ZONE,
        AwsName::GlobalAccelerator => GLOBAL_ACCELERATOR_ZONE,
        AwsName::ApiGateway(region) => row(region)?.1,
        AwsName::ApplicationLoadBalancer(region) => row(region)?.2,
        AwsName::NetworkLoadBalancer(region) => row(region)?.3,
    };
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_aws_names() {
        let check = |name: &str, expect: Option<&str>| {
            assert_eq!(aws_name(name).and_then(alias_zone), expect, "{name}");
        };
        check("d-abc.execute-api.eu-west-1.amazonaws.com", Some("ZLY8HYME6SFDD"));
        check("d-abc.execute-api.ap-southeast-6.amazonaws.com", None);
        check("d111.cloudfront.net", Some(CLOUDFRONT_ZONE));
        check("x.awsglobalaccelerator.com", Some(GLOBAL_ACCELERATOR_ZONE));
        check("lb-1.us-east-1.elb.amazonaws.com", Some("Z35SXDOTRQ7X7K"));
        check("lb-1.elb.us-east-1.amazonaws.com", Some("Z26RNL4JYFTOTI"));
        check("www.example.com", None);
    }
}
