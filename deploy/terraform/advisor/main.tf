# Nearside's advisor on Fargate: scheduled plans into a bucket, and a task that people start to apply one.

data "aws_caller_identity" "this" {}

locals {
  layers  = { plan = ["read-only", "plan"], apply = ["read-only", "plan", "apply"] }
  granted = merge([for task, layers in local.layers : { for layer in layers : "${task} ${layer}" => [task, layer] }]...)
  trust = {
    for service in ["ecs-tasks", "scheduler"] : service => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "${service}.amazonaws.com" }
        Action    = "sts:AssumeRole"
      }]
    })
  }
}

# program/advisor and config/nearside.toml are put here by people; plans/ and reports/ are written by the tasks.
resource "aws_s3_bucket" "reports" {
  region = var.region
  bucket = "${var.bucket_prefix}-${data.aws_caller_identity.this.account_id}"
}

resource "aws_s3_bucket_public_access_block" "reports" {
  region                  = var.region
  bucket                  = aws_s3_bucket.reports.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "reports" {
  region = var.region
  bucket = aws_s3_bucket.reports.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_vpc" "this" {
  region               = var.region
  cidr_block           = "10.91.0.0/24"
  enable_dns_hostnames = true
}

resource "aws_internet_gateway" "this" {
  region = var.region
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "this" {
  region     = var.region
  vpc_id     = aws_vpc.this.id
  cidr_block = "10.91.0.0/25"
}

resource "aws_route_table" "this" {
  region = var.region
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table_association" "this" {
  region         = var.region
  subnet_id      = aws_subnet.this.id
  route_table_id = aws_route_table.this.id
}

# Nobody can reach the tasks.
resource "aws_security_group" "tasks" {
  region      = var.region
  name_prefix = "nearside-tasks-"
  description = "Nearside tasks"
  vpc_id      = aws_vpc.this.id

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "files" {
  region      = var.region
  name_prefix = "nearside-files-"
  description = "Nearside journal"
  vpc_id      = aws_vpc.this.id

  ingress {
    from_port       = 2049
    to_port         = 2049
    protocol        = "tcp"
    security_groups = [aws_security_group.tasks.id]
  }
}

resource "aws_efs_file_system" "journal" {
  region    = var.region
  encrypted = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_efs_mount_target" "journal" {
  region          = var.region
  file_system_id  = aws_efs_file_system.journal.id
  subnet_id       = aws_subnet.this.id
  security_groups = [aws_security_group.files.id]
}

resource "aws_efs_access_point" "state" {
  region         = var.region
  file_system_id = aws_efs_file_system.journal.id

  posix_user {
    uid = 65532
    gid = 65532
  }

  root_directory {
    path = "/nearside"
    creation_info {
      owner_uid   = 65532
      owner_gid   = 65532
      permissions = "0700"
    }
  }
}

resource "aws_cloudwatch_log_group" "tasks" {
  region            = var.region
  name_prefix       = "/nearside/advisor-"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "execution" {
  name_prefix        = "nearside-execution-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "execution" {
  name = "log"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.tasks.arn}:*"
    }]
  })
}

resource "aws_iam_role" "task" {
  for_each           = local.layers
  name_prefix        = "nearside-${each.key}-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy_attachment" "layer" {
  for_each   = local.granted
  role       = aws_iam_role.task[each.value[0]].name
  policy_arn = var.policy_arns[each.value[1]]
}

resource "aws_iam_role_policy" "inputs" {
  for_each = local.layers
  name     = "inputs"
  role     = aws_iam_role.task[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadBucket"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for folder in ["program", "config", "plans"] : "${aws_s3_bucket.reports.arn}/${folder}/*"]
      },
      {
        Sid       = "ListConfiguration"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = aws_s3_bucket.reports.arn
        Condition = { StringLike = { "s3:prefix" = "config/*" } }
      },
      {
        Sid       = "Journal"
        Effect    = "Allow"
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.journal.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.state.arn } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "zone" {
  for_each = { for name, layers in local.layers : name => layers if var.zone_role_arn != "" }
  name     = "zone"
  role     = aws_iam_role.task[each.key].id
  policy   = templatefile("${path.module}/../../iam/assume-zone-role.json", { zone_role_arn = var.zone_role_arn })
}

resource "aws_ecs_cluster" "this" {
  region = var.region
  name   = "nearside"
}

# The apply task takes the key of a plan as PLAN, as plans/2030-01-01T002000Z/plan.json, or `rollback` or `resume`.
resource "aws_ecs_task_definition" "task" {
  for_each                 = local.layers
  region                   = var.region
  family                   = "nearside-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task[each.key].arn

  runtime_platform {
    cpu_architecture        = var.architecture
    operating_system_family = "LINUX"
  }

  volume {
    name = "state"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.journal.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.state.id
        iam             = "ENABLED"
      }
    }
  }

  container_definitions = jsonencode([{
    name       = "advisor"
    image      = var.image
    essential  = true
    entryPoint = ["sh", "-euc"]
    command    = [file("${path.module}/${each.key}.sh")]
    environment = [
      { name = "BUCKET", value = aws_s3_bucket.reports.id },
      { name = "NEARSIDE_STORE", value = "cloudwatch:${var.namespace}" },
      { name = "AWS_REGION", value = var.region },
    ]
    mountPoints = [{ sourceVolume = "state", containerPath = "/state" }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.tasks.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "task"
      }
    }
  }])

  depends_on = [aws_efs_mount_target.journal]
}

resource "aws_iam_role" "schedule" {
  name_prefix        = "nearside-schedule-"
  assume_role_policy = local.trust["scheduler"]
}

resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ecs:RunTask", Resource = aws_ecs_task_definition.task["plan"].arn },
      {
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [aws_iam_role.execution.arn, aws_iam_role.task["plan"].arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}

locals {
  # The same task makes a plan, or a report where REPORT is set.
  schedules = {
    plan   = { at = var.schedule, environment = [] }
    report = { at = var.report_schedule, environment = [{ name = "REPORT", value = var.report }] }
  }
}

resource "aws_scheduler_schedule" "task" {
  for_each                     = local.schedules
  region                       = var.region
  name                         = "nearside-${each.key}"
  schedule_expression          = each.value.at
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.schedule.arn
    input = jsonencode({
      containerOverrides = [{ name = "advisor", environment = each.value.environment }]
    })

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.task["plan"].arn
      launch_type         = "FARGATE"

      network_configuration {
        assign_public_ip = true
        subnets          = [aws_subnet.this.id]
        security_groups  = [aws_security_group.tasks.id]
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "failed" {
  count       = var.alarm_topic_arn == "" ? 0 : 1
  region      = var.region
  name        = "nearside-task-failed"
  description = "A task of Nearside's advisor ended with a failure"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.this.arn]
      lastStatus = ["STOPPED"]
      containers = { exitCode = [{ anything-but = 0 }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  count     = var.alarm_topic_arn == "" ? 0 : 1
  region    = var.region
  rule      = aws_cloudwatch_event_rule.failed[0].name
  target_id = "topic"
  arn       = var.alarm_topic_arn
}
