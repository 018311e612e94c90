/** What the ARN of a KMS key looks like. */
export const keyArnPattern = /^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]{1,256}$/u;
