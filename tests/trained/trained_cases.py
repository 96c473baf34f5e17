"""Small models of every kind: a configuration and what makes it small."""

from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
QUIET = [
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--tracking.wandb=disabled",
    "--data.num_workers=0",
    "--data.eval_batch_size=1",
]
AASIST = ["ssd_aasist.yaml", "--model.network.channels=[8,8,8,8,8,8]", "--data.eval_crop_s=0.3"]
AST = [
    "event_ast.yaml",
    "--model.network.embed_dim=48",
    "--model.network.depth=1",
    "--model.network.num_heads=3",
    "--data.eval_crop_s=0.4",
]
CASES = {  # scored clip by clip, but for one
    "aasist": AASIST,
    "mixed": [*AASIST, "--trainer.precision=bf16-mixed"],
    "batches": [*AASIST, "--data.eval_batch_size=5"],
    "whole": ["ssd_lcnn_lstm_sum.yaml", "--data.batch_size=8"],
    "views": [*AST, "--data.num_views=3"],
    "heads": [*AST[:1], "--config={configs}/overlays/event_epic_kitchens.yaml", *AST[1:]],
    "machines": [
        "asd_proxy_outlier.yaml",
        "--model.network.channels=8",
        "--model.window=24",
    ],
    "neighbours": [
        "asd_arcface.yaml",
        "--data.machine=fan",
        "--model.network.channels=8",
        "--model.objective.embedding_dim=32",
        "--model.window=24",
        "--data.batch_size=8",
    ],
    "classes": ["production_tagger.yaml", "--data.train_crop_s=0.3", "--data.fold=1"],
    "tags": [
        "production_tagger.yaml",
        "--config={configs}/overlays/production_multi_tag.yaml",
        "--data.fold=1",
    ],
}
