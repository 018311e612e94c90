/** What the ARN of an IAM role looks like, path included. */
export const roleArnPattern = /^arn:aws[a-z-]{0,20}:iam::\d{12}:role\/[\x21-\x7e]{1,576}$/u;

/** What AWS STS takes as the name of a role session: it is in CloudTrail with every call. */
export const roleSessionNamePattern = /^[\w+=,.@-]{2,64}$/u;

/** What AWS STS takes as an external id. */
export const externalIdPattern = /^[\w+=,.@:/-]{2,1224}$/u;

/** How long a session of an assumed role may last when the one who assumes it has a session too, in seconds. */
export const chainedSessionSeconds = { min: 900, max: 3600 } as const;
