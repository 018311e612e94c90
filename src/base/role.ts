/** What the ARN of an IAM role looks like, path included. */
export const roleArnPattern = /^arn:aws[a-z-]{0,20}:iam::\d{12}:role\/[\x21-\x7e]{1,576}$/u;
