set -eu
cd /state
aws s3 cp --only-show-errors "s3://$BUCKET/program/advisor" /tmp/advisor
chmod +x /tmp/advisor
aws s3 cp --only-show-errors --recursive "s3://$BUCKET/config/" .
if [ -n "${REPORT:-}" ]; then
  exec /tmp/advisor --store "$NEARSIDE_STORE" report --period "$REPORT" --out /tmp/report --deliver "s3://$BUCKET/reports?region=$AWS_REGION"
fi
mkdir /tmp/out
/tmp/advisor --store "$NEARSIDE_STORE" plan --out /tmp/out/plan.json >/tmp/out/plan.txt
/tmp/advisor --store "$NEARSIDE_STORE" --json matrix >/tmp/out/matrix.json
/tmp/advisor --store "$NEARSIDE_STORE" --json regret >/tmp/out/regret.json
cat /tmp/out/plan.txt
aws s3 cp --only-show-errors --recursive /tmp/out "s3://$BUCKET/plans/$(date -u +%Y-%m-%dT%H%M%SZ)/"
