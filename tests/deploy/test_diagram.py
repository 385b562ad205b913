"""The picture of the deployment is that of the plan as it is now."""

from deploy import diagram
from deploy.plans import Plan, Terraform

EDGES = (
    "bucket_uploads ==>|each upload| function_chunker",
    "topic_results ==>|pushed| function_assembler",
    "function_reconciler -->|sizes| pool_worker",
    "job_chunker -->|writes| bucket_chunks",
    "topic_chunks_high -.->|dead letters| topic_chunks_dead",
)


def test_the_page_is_current(plans: dict[str, Plan]) -> None:
    assert diagram.PAGE.read_text(encoding="utf-8") == diagram.page(plans["cloud_run"]), "make diagram"


def test_it_shows_the_flow(plans: dict[str, Plan]) -> None:
    lines = [line.strip() for line in diagram.page(plans["cloud_run"]).splitlines()]
    assert [edge for edge in EDGES if edge not in lines] == []


def test_it_follows_the_plan(spoiled: Terraform) -> None:
    file = spoiled.folder / "assembler.tf"
    text = file.read_text(encoding="utf-8")
    begin = text.index('resource "google_storage_bucket_iam_member" "assembler_transcripts"')
    file.write_text(text[:begin] + text[text.index("\n}\n", begin) + 3 :], encoding="utf-8")
    plan = spoiled.tested("-filter=tests/deployment.tftest.hcl").plans["cloud_run"]
    assert "function_assembler -->|writes| bucket_transcripts" not in diagram.page(plan)
