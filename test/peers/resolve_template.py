"""Prints what a CloudFormation template comes to: `resolve_template.py FILE PARAMETERS EXPORTS`, both maps as JSON.

moto leaves parts of some resources out, so their policies are taken from the template itself. Knows the functions that
our templates use, and fails at any other.
"""

import json
import re
import sys

from cfnlint.decode import decode

account, region = "123456789012", "eu-west-1"
pseudo = {
    "AWS::AccountId": account,
    "AWS::Partition": "aws",
    "AWS::Region": region,
    "AWS::StackName": "stack",
}


def resolved(template, given, exports):
    defaults = {name: one.get("Default") for name, one in template.get("Parameters", {}).items()}
    parameters = {**defaults, **given}
    lists = [name for name, one in template["Parameters"].items() if one["Type"] == "CommaDelimitedList"]
    values = {**pseudo, **parameters, **{name: parameters[name].split(",") for name in lists}}
    conditions = template.get("Conditions", {})

    def reference(name):
        if name in values:
            return values[name]
        if name in template["Resources"]:
            return f"{{{name}}}"
        raise KeyError(f"nothing is called {name}")

    def holds(name):
        return value(conditions[name])

    functions = {
        "Ref": reference,
        "Condition": holds,
        # AWS leaves ${!NAME}, and what policies write: names of theirs have a slash or colon that ours have not.
        "Fn::Sub": lambda text: re.sub(
            r"\$\{([A-Za-z0-9]+|AWS::[A-Za-z]+)\}", lambda match: str(reference(match[1])), text
        ),
        "Fn::GetAtt": lambda at: "{" + ".".join(at if isinstance(at, list) else [at]) + "}",
        "Fn::ImportValue": lambda name: exports[value(name)],
        "Fn::If": lambda of: value(of[1] if holds(of[0]) else of[2]),
        "Fn::Not": lambda of: not value(of[0]),
        "Fn::Equals": lambda of: value(of[0]) == value(of[1]),
        "Fn::Join": lambda of: of[0].join(value(of[1])),
    }

    def value(node):
        if isinstance(node, list):
            return [value(one) for one in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in functions and (name != "Condition" or isinstance(argument, str)):
                return functions[name](argument)
            if name.startswith("Fn::"):
                raise KeyError(f"{name} is not known here")
        return {name: value(one) for name, one in node.items()}

    return {
        name: {"Type": one["Type"], "Properties": value(one.get("Properties", {}))}
        for name, one in template["Resources"].items()
        if "Condition" not in one or holds(one["Condition"])
    }


if __name__ == "__main__":
    file, parameters, exports = sys.argv[1:]
    template, problems = decode(file)
    if problems:
        sys.exit(f"{file} cannot be read: {problems}")
    print(json.dumps(resolved(template, json.loads(parameters), json.loads(exports))))
