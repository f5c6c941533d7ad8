set -eu
cd /state
aws s3 cp --only-show-errors "s3://$BUCKET/program/advisor" /tmp/advisor
chmod +x /tmp/advisor
aws s3 cp --only-show-errors --recursive "s3://$BUCKET/config/" .
if [ "$PLAN" = rollback ]; then
  exec /tmp/advisor --store "$NEARSIDE_STORE" rollback --yes
fi
if [ "$PLAN" = resume ]; then
  exec /tmp/advisor --store "$NEARSIDE_STORE" apply --resume --yes
fi
aws s3 cp --only-show-errors "s3://$BUCKET/$PLAN" /tmp/plan.json
exec /tmp/advisor --store "$NEARSIDE_STORE" apply /tmp/plan.json --yes
