"""Further names of columns: of trackers and codebases, and in other languages.

Each line is a role, its names in small letters joined by _, and who writes them so.
"""

from __future__ import annotations

# Role, names, source.
Names = tuple[str, tuple[str, ...], str]

TRACKERS: tuple[Names, ...] = (
    ("batch", ("total_batch_size", "total_batch_size_tokens"), "llm.c, nanochat"),
    (
        "sequences",
        ("total_train_batch_size", "global_bs", "global_bsz", "batch_size_global"),
        "HF Trainer's log, spreadsheets",
    ),
    (
        "device",
        (
            *("local_batch_size", "per_gpu_batch_size", "batch_size_per_gpu"),
            *("batch_size_per_device", "train_micro_batch_size", "microbatch_size"),
            *("micro_bsz", "per_device_train_bs", "per_gpu_train_batch_size"),
            *("device_batch", "micro_batch"),
        ),
        "torchtitan, spreadsheets",
    ),
    (
        "devices",
        (
            *("data_parallel_size", "dp_size", "dp_world_size", "dp_degree", "dp"),
            *("data_parallel_degree", "num_processes", "n_processes", "ngpu", "ngpus"),
            *("gpus", "gpu_count", "num_gpu", "n_gpu", "n_devices", "devices"),
            *("number_of_gpus", "total_gpus", "device_count", "world"),
        ),
        "Accelerate, Megatron-LM, nanotron",
    ),
    ("nodes", ("nodes", "num_nodes", "n_nodes", "nnodes", "node_count"), "torchrun"),
    (
        "per_node",
        (
            *("gpus_per_node", "devices_per_node", "ngpus_per_node", "nproc_per_node"),
            *("num_gpus_per_node", "n_gpus_per_node", "num_devices_per_node"),
        ),
        "torchrun, SLURM",
    ),
    (
        "params",
        (
            *("params_total", "params_non_embedding", "n_params_non_embedding"),
            *("num_non_embedding_params", "n_non_embedding_params", "nonemb_params"),
            *("n_params_non_emb", "params_non_emb", "non_emb_params", "n_parameters"),
            *("num_total_params", "n_total_params", "model_num_params"),
            *("trainable_params", "num_trainable_params", "n_params_nonemb"),
        ),
        "OLMo, spreadsheets",
    ),
    (
        "tokens",
        (
            *("token_budget", "tokens_budget", "target_tokens", "tokens_processed"),
            *("total_training_tokens", "tokens_consumed", "n_tokens_seen"),
            *("train_tokens_total", "total_train_tokens", "num_tokens_seen"),
        ),
        "spreadsheets",
    ),
    (
        "loss",
        (
            *("lm_loss_value", "lm_loss_validation", "validation_lm_loss"),
            *("final_validation_loss", "loss_final"),
        ),
        "Megatron-LM, spreadsheets",
    ),
    (
        "status",
        (
            *("run_status", "run_state", "job_status", "job_state", "trial_status"),
            *("training_job_status", "exit_status", "outcome"),
        ),
        "SageMaker, SLURM, spreadsheets",
    ),
    (
        "samples",
        (
            *("samples_seen", "consumed_train_samples", "consumed_samples"),
            *("sequences_seen", "num_sequences", "n_samples"),
        ),
        "Megatron-LM",
    ),
    (
        "accumulation",
        (
            *("batch_accumulation_per_replica", "gradient_accumulation_fusion_steps"),
            *("ga_steps", "grad_accumulation", "gas"),
        ),
        "nanotron, DeepSpeed",
    ),
    ("steps", ("max_train_steps", "total_train_steps", "n_steps"), "Accelerate"),
    (
        "ratio",
        (
            *("tok_param", "tokens_param", "tokens_params", "tpp", "tok_per_param"),
            *("tokens_per_params", "token_param_ratio", "token_per_param"),
        ),
        "spreadsheets",
    ),
)

LANGUAGES: tuple[Names, ...] = (
    ("lr", ("lernrate", "max_lernrate", "maximale_lernrate"), "German"),
    ("sequences", ("batchgrösse", "batchgroesse", "stapelgrösse"), "German"),
    ("params", ("parameteranzahl", "anzahl_parameter", "parameterzahl"), "German"),
    (
        "tokens",
        ("trainingstoken", "trainingstokens", "anzahl_token", "anzahl_tokens"),
        "German",
    ),
    (
        "loss",
        (
            *("verlust", "endverlust", "validierungsverlust", "trainingsverlust"),
            *("val_verlust", "testverlust"),
        ),
        "German",
    ),
    ("seq_len", ("sequenzlänge", "kontextlänge"), "German"),
    ("steps", ("schritte", "trainingsschritte"), "German"),
    ("lr", ("学习率", "最大学习率", "峰值学习率", "初始学习率"), "Chinese"),
    ("sequences", ("批大小", "批次大小", "批量大小", "批处理大小"), "Chinese"),
    ("params", ("参数量", "参数", "参数数量", "模型参数量"), "Chinese"),
    (
        "tokens",
        (
            *("训练token数", "token数", "tokens数", "训练token", "训练tokens"),
            *("训练token数量", "token数量", "训练tokens数"),
        ),
        "Chinese",
    ),
    (
        "loss",
        ("损失", "最终损失", "验证损失", "验证集损失", "训练损失", "测试损失"),
        "Chinese",
    ),
    ("seq_len", ("序列长度", "上下文长度"), "Chinese"),
    ("steps", ("步数", "训练步数"), "Chinese"),
    ("status", ("状态",), "Chinese"),
    ("lr", ("学習率", "最大学習率"), "Japanese"),
    ("sequences", ("バッチサイズ",), "Japanese"),
    ("params", ("パラメータ数",), "Japanese"),
    ("tokens", ("トークン数", "学習トークン数"), "Japanese"),
    ("loss", ("検証損失", "学習損失", "最終損失"), "Japanese"),
    ("lr", ("taux_d'apprentissage", "taux_d_apprentissage"), "French"),
    ("sequences", ("taille_de_lot", "taille_du_lot", "taille_de_batch"), "French"),
    ("params", ("paramètres", "nombre_de_paramètres", "parametres"), "French"),
    ("tokens", ("jetons", "nombre_de_jetons", "nombre_de_tokens"), "French"),
    ("loss", ("perte", "perte_finale", "perte_de_validation"), "French"),
)
# What tells the kind of a loss in such a name.
VALIDATION = (
    "验证",
    "測試",
    "测试",
    "検証",
    "validierung",
    "testverlust",
    "perte_de_val",
)
TRAINING = ("训练损失", "学習損失", "trainingsverlust")
