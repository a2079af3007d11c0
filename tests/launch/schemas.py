"""The parts of the schemas of JobSet v1alpha2 and of SkyPilot's tasks that `launch/` uses.

Unknown keys are refused: Kubernetes drops some of them in silence.
"""

from typing import Any

Schema = dict[str, Any]
NAME = {"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$"}
TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}


def thing(required: Schema, **optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


# Texts only: Kubernetes refuses `value: 2`.
MAP = {"type": "object", "additionalProperties": {"type": "string"}}
FIELD = thing({"fieldRef": thing({"fieldPath": TEXT})})
VARIABLE = {
    "oneOf": [thing({"name": TEXT, "value": TEXT}), thing({"name": TEXT, "valueFrom": FIELD})]
}
AMOUNTS = {"type": "object", "additionalProperties": COUNT}
CONTAINER = thing(
    {"name": NAME, "image": TEXT},
    command=many(TEXT),
    args=many(TEXT),
    env=many(VARIABLE),
    ports=many(thing({"containerPort": COUNT})),
    securityContext=thing({}, privileged={"type": "boolean"}, runAsUser=COUNT),
    resources=thing({"limits": AMOUNTS}, requests=AMOUNTS),
    volumeMounts=many(thing({"name": NAME, "mountPath": TEXT})),
)
VOLUME = {
    "oneOf": [
        thing({"name": NAME, "persistentVolumeClaim": thing({"claimName": TEXT})}),
        thing({"name": NAME, "emptyDir": thing({"medium": {"const": "Memory"}})}),
    ]
}
POD = thing(
    # A pod failure policy is allowed with this restart policy alone.
    {"restartPolicy": {"const": "Never"}, "containers": many(CONTAINER)},
    terminationGracePeriodSeconds=COUNT,
    serviceAccountName=NAME,
    securityContext=thing({}, fsGroup=COUNT),
    nodeSelector=MAP,
    volumes=many(VOLUME),
)
EXIT_CODES = thing(
    {
        "containerName": NAME,
        "operator": {"enum": ["In", "NotIn"]},
        "values": many({"type": "integer", "minimum": 1, "maximum": 255}),
    }
)
POD_FAILURE = thing(
    {"rules": many(thing({"action": {"const": "FailJob"}, "onExitCodes": EXIT_CODES}))}
)
JOB = thing(
    {"template": thing({"spec": POD}), "parallelism": COUNT, "completions": COUNT},
    backoffLimit=COUNT,
    podFailurePolicy=POD_FAILURE,
)
RULE = thing(
    {
        "action": {
            "enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"],
        }
    },
    name=TEXT,
    onJobFailureReasons=many(
        {"enum": ["BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "PodFailurePolicy"]}
    ),
)
JOBSET = thing(
    {
        "apiVersion": {"const": "jobset.x-k8s.io/v1alpha2"},
        "kind": {"const": "JobSet"},
        "metadata": thing({"name": NAME}, annotations=MAP, labels=MAP),
        "spec": thing(
            {
                "replicatedJobs": many(
                    thing({"name": NAME, "template": thing({"spec": JOB})}, replicas=COUNT)
                )
            },
            failurePolicy=thing({"maxRestarts": COUNT}, rules=many(RULE)),
            network=thing({}, enableDNSHostnames={"type": "boolean"}),
        ),
    }
)

TASK = thing(
    {"run": TEXT},
    name=NAME,
    workdir=TEXT,
    num_nodes={"type": "integer", "minimum": 1},
    resources=thing(
        {"accelerators": TEXT},
        use_spot={"type": "boolean"},
        disk_size=COUNT,
        job_recovery=thing(
            {}, max_restarts_on_errors=COUNT, recover_on_exit_codes=many({"type": "integer"})
        ),
    ),
    envs={"type": "object", "additionalProperties": {"type": "string"}},
    setup=TEXT,
)
