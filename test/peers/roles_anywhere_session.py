"""Gets sessions with a signer that nobody here wrote, and says who each of them is."""

import json
import sys

from iam_rolesanywhere_session import IAMRolesAnywhereSession

wanted = json.loads(sys.argv[1])
answers = {}
for name, identity in wanted["identities"].items():
    session = IAMRolesAnywhereSession(
        profile_arn=identity["profileArn"],
        role_arn=identity["roleArn"],
        trust_anchor_arn=identity["trustAnchorArn"],
        certificate=identity["certificate"],
        private_key=identity["privateKey"],
        certificate_chain=identity.get("intermediates"),
        region="eu-west-1",
        endpoint=wanted["endpoint"],
        verify=wanted["ca"],
    )
    try:
        sts = session.get_session().client("sts", endpoint_url=wanted["url"], verify=wanted["ca"])
        answers[name] = sts.get_caller_identity()["Arn"]
    except Exception as error:  # what it is called is up to the library: the test looks for AWS's words
        answers[name] = repr(error)
print(json.dumps(answers))
