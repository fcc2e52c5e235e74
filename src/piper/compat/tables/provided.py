"""Modules of Airflow 1 whose contents belong to other providers now, and what they are called there (see `tables`).

Nothing of them is Piper's: with the provider installed they import, without it the message says which one to install.
The names are those that Airflow 2.10, the last to have these modules, gave for them.
"""

from __future__ import annotations

from collections.abc import Iterator

PROVIDERS = "airflow.providers"

PROVIDED: dict[str, dict[str, str]] = {
    "airflow.contrib.hooks": {
        "aws_athena_hook": "amazon.aws.hooks.athena: AWSAthenaHook=AthenaHook",
        "aws_datasync_hook": "amazon.aws.hooks.datasync: AWSDataSyncHook=DataSyncHook",
        "aws_dynamodb_hook": "amazon.aws.hooks.dynamodb: AwsDynamoDBHook=DynamoDBHook",
        "aws_firehose_hook": "amazon.aws.hooks.kinesis: AwsFirehoseHook=FirehoseHook",
        "aws_glue_catalog_hook": "amazon.aws.hooks.glue_catalog: AwsGlueCatalogHook=GlueCatalogHook",
        "aws_hook": "amazon.aws.hooks.base_aws: AwsHook=AwsBaseHook",
        "aws_lambda_hook": "amazon.aws.hooks.lambda_function: AwsLambdaHook=LambdaHook",
        "aws_logs_hook": "amazon.aws.hooks.logs: AwsLogsHook",
        "aws_sns_hook": "amazon.aws.hooks.sns: AwsSnsHook=SnsHook",
        "aws_sqs_hook": "amazon.aws.hooks.sqs: SQSHook=SqsHook",
        "azure_container_instance_hook": "microsoft.azure.hooks.container_instance: AzureContainerInstanceHook",
        "azure_container_registry_hook": "microsoft.azure.hooks.container_registry: AzureContainerRegistryHook",
        "azure_container_volume_hook": "microsoft.azure.hooks.container_volume: AzureContainerVolumeHook",
        "azure_cosmos_hook": "microsoft.azure.hooks.cosmos: AzureCosmosDBHook",
        "azure_data_lake_hook": "microsoft.azure.hooks.data_lake: AzureDataLakeHook",
        "azure_fileshare_hook": "microsoft.azure.hooks.fileshare: AzureFileShareHook",
        "bigquery_hook": (
            "google.cloud.hooks.bigquery: BigQueryBaseCursor BigQueryConnection BigQueryCursor BigQueryHook "
            "GbqConnector"
        ),
        "cassandra_hook": "apache.cassandra.hooks.cassandra: CassandraHook",
        "cloudant_hook": "cloudant.hooks.cloudant: CloudantHook",
        "databricks_hook": "databricks.hooks.databricks: DatabricksHook RunState",
        "datadog_hook": "datadog.hooks.datadog: DatadogHook",
        "datastore_hook": "google.cloud.hooks.datastore: DatastoreHook",
        "dingding_hook": "dingding.hooks.dingding: DingdingHook",
        "discord_webhook_hook": "discord.hooks.discord_webhook: DiscordWebhookHook",
        "emr_hook": "amazon.aws.hooks.emr: EmrHook",
        "ftp_hook": "ftp.hooks.ftp: FTPHook FTPSHook",
        "gcp_api_base_hook": "google.common.hooks.base_google: GoogleCloudBaseHook=GoogleBaseHook",
        "gcp_bigtable_hook": "google.cloud.hooks.bigtable: BigtableHook",
        "gcp_cloud_build_hook": "google.cloud.hooks.cloud_build: CloudBuildHook",
        "gcp_compute_hook": "google.cloud.hooks.compute: GceHook=ComputeEngineHook",
        "gcp_container_hook": "google.cloud.hooks.kubernetes_engine: GKEClusterHook=GKEHook",
        "gcp_dataflow_hook": "google.cloud.hooks.dataflow: DataFlowHook=DataflowHook",
        "gcp_dataproc_hook": "google.cloud.hooks.dataproc: DataProcHook=DataprocHook",
        "gcp_dlp_hook": "google.cloud.hooks.dlp: CloudDLPHook DlpJob",
        "gcp_function_hook": "google.cloud.hooks.functions: GcfHook=CloudFunctionsHook",
        "gcp_kms_hook": "google.cloud.hooks.kms: GoogleCloudKMSHook=CloudKMSHook",
        "gcp_mlengine_hook": "google.cloud.hooks.mlengine: MLEngineHook",
        "gcp_natural_language_hook": "google.cloud.hooks.natural_language: CloudNaturalLanguageHook",
        "gcp_pubsub_hook": "google.cloud.hooks.pubsub: PubSubException PubSubHook",
        "gcp_spanner_hook": "google.cloud.hooks.spanner: CloudSpannerHook=SpannerHook",
        "gcp_speech_to_text_hook": "google.cloud.hooks.speech_to_text: GCPSpeechToTextHook=CloudSpeechToTextHook",
        "gcp_sql_hook": (
            "google.cloud.hooks.cloud_sql: CloudSqlDatabaseHook=CloudSQLDatabaseHook CloudSqlHook=CloudSQLHook"
        ),
        "gcp_tasks_hook": "google.cloud.hooks.tasks: CloudTasksHook",
        "gcp_text_to_speech_hook": "google.cloud.hooks.text_to_speech: GCPTextToSpeechHook=CloudTextToSpeechHook",
        "gcp_transfer_hook": (
            "google.cloud.hooks.cloud_storage_transfer_service: GCPTransferServiceHook=CloudDataTransferServiceHook"
        ),
        "gcp_translate_hook": "google.cloud.hooks.translate: CloudTranslateHook",
        "gcp_video_intelligence_hook": "google.cloud.hooks.video_intelligence: CloudVideoIntelligenceHook",
        "gcp_vision_hook": "google.cloud.hooks.vision: CloudVisionHook",
        "gcs_hook": "google.cloud.hooks.gcs: GoogleCloudStorageHook=GCSHook",
        "gdrive_hook": "google.suite.hooks.drive: GoogleDriveHook",
        "grpc_hook": "grpc.hooks.grpc: GrpcHook",
        "imap_hook": "imap.hooks.imap: ImapHook Mail MailPart",
        "jenkins_hook": "jenkins.hooks.jenkins: JenkinsHook",
        "jira_hook": "atlassian.jira.hooks.jira: JiraHook",
        "mongo_hook": "mongo.hooks.mongo: MongoHook",
        "openfaas_hook": "openfaas.hooks.openfaas: OpenFaasHook",
        "opsgenie_alert_hook": "opsgenie.hooks.opsgenie: OpsgenieAlertHook",
        "pagerduty_hook": "pagerduty.hooks.pagerduty: PagerdutyHook",
        "pinot_hook": "apache.pinot.hooks.pinot: PinotDbApiHook",
        "qubole_check_hook": "qubole.hooks.qubole_check: QuboleCheckHook",
        "qubole_hook": "qubole.hooks.qubole: QuboleHook",
        "redis_hook": "redis.hooks.redis: RedisHook",
        "redshift_hook": "amazon.aws.hooks.redshift_cluster: RedshiftHook",
        "sagemaker_hook": "amazon.aws.hooks.sagemaker: LogState SageMakerHook",
        "salesforce_hook": "salesforce.hooks.salesforce: SalesforceHook",
        "segment_hook": "segment.hooks.segment: SegmentHook",
        "sftp_hook": "sftp.hooks.sftp: SFTPHook",
        "slack_webhook_hook": "slack.hooks.slack_webhook: SlackWebhookHook",
        "snowflake_hook": "snowflake.hooks.snowflake: SnowflakeHook",
        "spark_jdbc_hook": "apache.spark.hooks.spark_jdbc: SparkJDBCHook",
        "spark_sql_hook": "apache.spark.hooks.spark_sql: SparkSqlHook",
        "spark_submit_hook": "apache.spark.hooks.spark_submit: SparkSubmitHook",
        "sqoop_hook": "apache.sqoop.hooks.sqoop: SqoopHook",
        "ssh_hook": "ssh.hooks.ssh: SSHHook",
        "vertica_hook": "vertica.hooks.vertica: VerticaHook",
        "wasb_hook": "microsoft.azure.hooks.wasb: WasbHook",
        "winrm_hook": "microsoft.winrm.hooks.winrm: WinRMHook",
    },
    "airflow.contrib.operators": {
        "adls_list_operator": "microsoft.azure.operators.adls: AzureDataLakeStorageListOperator=ADLSListOperator",
        "adls_to_gcs": "google.cloud.transfers.adls_to_gcs: AdlsToGoogleCloudStorageOperator=ADLSToGCSOperator",
        "aws_athena_operator": "amazon.aws.operators.athena: AWSAthenaOperator=AthenaOperator",
        "aws_sqs_publish_operator": "amazon.aws.operators.sqs: SQSPublishOperator=SqsPublishOperator",
        "awsbatch_operator": "amazon.aws.operators.batch: AWSBatchOperator=BatchOperator",
        "azure_container_instances_operator": (
            "microsoft.azure.operators.container_instances: AzureContainerInstancesOperator"
        ),
        "azure_cosmos_operator": "microsoft.azure.operators.cosmos: AzureCosmosInsertDocumentOperator",
        "bigquery_check_operator": (
            "google.cloud.operators.bigquery: BigQueryCheckOperator BigQueryIntervalCheckOperator "
            "BigQueryValueCheckOperator"
        ),
        "bigquery_get_data": "google.cloud.operators.bigquery: BigQueryGetDataOperator",
        "bigquery_operator": (
            "google.cloud.operators.bigquery: BigQueryCreateEmptyDatasetOperator BigQueryCreateEmptyTableOperator "
            "BigQueryCreateExternalTableOperator BigQueryDeleteDatasetOperator BigQueryGetDatasetOperator "
            "BigQueryPatchDatasetOperator BigQueryUpdateDatasetOperator BigQueryOperator=BigQueryExecuteQueryOperator"
        ),
        "bigquery_table_delete_operator": (
            "google.cloud.operators.bigquery: BigQueryTableDeleteOperator=BigQueryDeleteTableOperator"
        ),
        "bigquery_to_bigquery": "google.cloud.transfers.bigquery_to_bigquery: BigQueryToBigQueryOperator",
        "bigquery_to_gcs": (
            "google.cloud.transfers.bigquery_to_gcs: BigQueryToCloudStorageOperator=BigQueryToGCSOperator"
        ),
        "bigquery_to_mysql_operator": "google.cloud.transfers.bigquery_to_mysql: BigQueryToMySqlOperator",
        "cassandra_to_gcs": (
            "google.cloud.transfers.cassandra_to_gcs: CassandraToGoogleCloudStorageOperator=CassandraToGCSOperator"
        ),
        "databricks_operator": "databricks.operators.databricks: DatabricksRunNowOperator DatabricksSubmitRunOperator",
        "dataflow_operator": (
            "google.cloud.operators.dataflow: DataFlowJavaOperator=DataflowCreateJavaJobOperator "
            "DataFlowPythonOperator=DataflowCreatePythonJobOperator "
            "DataflowTemplateOperator=DataflowTemplatedJobStartOperator"
        ),
        "datapipeline_operator": (
            "google.cloud.operators.datapipeline: CreateDataPipelineOperator RunDataPipelineOperator"
        ),
        "dataproc_operator": (
            "google.cloud.operators.dataproc: DataprocClusterCreateOperator=DataprocCreateClusterOperator "
            "DataprocClusterDeleteOperator=DataprocDeleteClusterOperator "
            "DataprocClusterScaleOperator=DataprocScaleClusterOperator "
            "DataProcHadoopOperator=DataprocSubmitHadoopJobOperator "
            "DataProcHiveOperator=DataprocSubmitHiveJobOperator DataProcJobBaseOperator=DataprocJobBaseOperator "
            "DataProcPigOperator=DataprocSubmitPigJobOperator "
            "DataProcPySparkOperator=DataprocSubmitPySparkJobOperator "
            "DataProcSparkOperator=DataprocSubmitSparkJobOperator "
            "DataProcSparkSqlOperator=DataprocSubmitSparkSqlJobOperator "
            "DataprocWorkflowTemplateInstantiateInlineOperator=DataprocInstantiateInlineWorkflowTemplateOperator "
            "DataprocWorkflowTemplateInstantiateOperator=DataprocInstantiateWorkflowTemplateOperator"
        ),
        "datastore_export_operator": (
            "google.cloud.operators.datastore: DatastoreExportOperator=CloudDatastoreExportEntitiesOperator"
        ),
        "datastore_import_operator": (
            "google.cloud.operators.datastore: DatastoreImportOperator=CloudDatastoreImportEntitiesOperator"
        ),
        "dingding_operator": "dingding.operators.dingding: DingdingOperator",
        "discord_webhook_operator": "discord.operators.discord_webhook: DiscordWebhookOperator",
        "docker_swarm_operator": "docker.operators.docker_swarm: DockerSwarmOperator",
        "druid_operator": "apache.druid.operators.druid: DruidOperator",
        "dynamodb_to_s3": "amazon.aws.transfers.dynamodb_to_s3: DynamoDBToS3Operator",
        "ecs_operator": "amazon.aws.operators.ecs: ECSOperator=EcsRunTaskOperator",
        "emr_add_steps_operator": "amazon.aws.operators.emr: EmrAddStepsOperator",
        "emr_create_job_flow_operator": "amazon.aws.operators.emr: EmrCreateJobFlowOperator",
        "emr_terminate_job_flow_operator": "amazon.aws.operators.emr: EmrTerminateJobFlowOperator",
        "file_to_gcs": (
            "google.cloud.transfers.local_to_gcs: FileToGoogleCloudStorageOperator=LocalFilesystemToGCSOperator"
        ),
        "file_to_wasb": "microsoft.azure.transfers.local_to_wasb: FileToWasbOperator=LocalFilesystemToWasbOperator",
        "gcp_bigtable_operator": (
            "google.cloud.operators.bigtable: BigtableClusterUpdateOperator=BigtableUpdateClusterOperator "
            "BigtableInstanceCreateOperator=BigtableCreateInstanceOperator "
            "BigtableInstanceDeleteOperator=BigtableDeleteInstanceOperator "
            "BigtableTableCreateOperator=BigtableCreateTableOperator "
            "BigtableTableDeleteOperator=BigtableDeleteTableOperator; google.cloud.sensors.bigtable: "
            "BigtableTableWaitForReplicationSensor=BigtableTableReplicationCompletedSensor"
        ),
        "gcp_cloud_build_operator": "google.cloud.operators.cloud_build: CloudBuildCreateBuildOperator",
        "gcp_compute_operator": (
            "google.cloud.operators.compute: GceBaseOperator=ComputeEngineBaseOperator "
            "GceInstanceGroupManagerUpdateTemplateOperator=ComputeEngineInstanceGroupUpdateManagerTemplateOperator "
            "GceInstanceStartOperator=ComputeEngineStartInstanceOperator "
            "GceInstanceStopOperator=ComputeEngineStopInstanceOperator "
            "GceInstanceTemplateCopyOperator=ComputeEngineCopyInstanceTemplateOperator "
            "GceSetMachineTypeOperator=ComputeEngineSetMachineTypeOperator"
        ),
        "gcp_container_operator": (
            "google.cloud.operators.kubernetes_engine: GKEClusterCreateOperator=GKECreateClusterOperator "
            "GKEClusterDeleteOperator=GKEDeleteClusterOperator GKEPodOperator=GKEStartPodOperator"
        ),
        "gcp_dlp_operator": (
            "google.cloud.operators.dlp: CloudDLPCancelDLPJobOperator CloudDLPCreateDeidentifyTemplateOperator "
            "CloudDLPCreateDLPJobOperator CloudDLPCreateInspectTemplateOperator CloudDLPCreateJobTriggerOperator "
            "CloudDLPCreateStoredInfoTypeOperator CloudDLPDeidentifyContentOperator "
            "CloudDLPDeleteDeidentifyTemplateOperator CloudDLPDeleteInspectTemplateOperator "
            "CloudDLPDeleteJobTriggerOperator CloudDLPDeleteStoredInfoTypeOperator "
            "CloudDLPGetDeidentifyTemplateOperator CloudDLPGetInspectTemplateOperator "
            "CloudDLPGetStoredInfoTypeOperator CloudDLPInspectContentOperator CloudDLPListDeidentifyTemplatesOperator "
            "CloudDLPListInfoTypesOperator CloudDLPListInspectTemplatesOperator CloudDLPListJobTriggersOperator "
            "CloudDLPListStoredInfoTypesOperator CloudDLPRedactImageOperator CloudDLPReidentifyContentOperator "
            "CloudDLPUpdateDeidentifyTemplateOperator CloudDLPUpdateInspectTemplateOperator "
            "CloudDLPUpdateJobTriggerOperator CloudDLPUpdateStoredInfoTypeOperator "
            "CloudDLPDeleteDlpJobOperator=CloudDLPDeleteDLPJobOperator "
            "CloudDLPGetDlpJobOperator=CloudDLPGetDLPJobOperator "
            "CloudDLPGetJobTripperOperator=CloudDLPGetDLPJobTriggerOperator "
            "CloudDLPListDlpJobsOperator=CloudDLPListDLPJobsOperator"
        ),
        "gcp_function_operator": (
            "google.cloud.operators.functions: GcfFunctionDeleteOperator=CloudFunctionDeleteFunctionOperator "
            "GcfFunctionDeployOperator=CloudFunctionDeployFunctionOperator"
        ),
        "gcp_natural_language_operator": (
            "google.cloud.operators.natural_language: "
            "CloudLanguageAnalyzeEntitiesOperator=CloudNaturalLanguageAnalyzeEntitiesOperator "
            "CloudLanguageAnalyzeEntitySentimentOperator=CloudNaturalLanguageAnalyzeEntitySentimentOperator "
            "CloudLanguageAnalyzeSentimentOperator=CloudNaturalLanguageAnalyzeSentimentOperator "
            "CloudLanguageClassifyTextOperator=CloudNaturalLanguageClassifyTextOperator"
        ),
        "gcp_spanner_operator": (
            "google.cloud.operators.spanner: "
            "CloudSpannerInstanceDatabaseDeleteOperator=SpannerDeleteDatabaseInstanceOperator "
            "CloudSpannerInstanceDatabaseDeployOperator=SpannerDeployDatabaseInstanceOperator "
            "CloudSpannerInstanceDatabaseQueryOperator=SpannerQueryDatabaseInstanceOperator "
            "CloudSpannerInstanceDatabaseUpdateOperator=SpannerUpdateDatabaseInstanceOperator "
            "CloudSpannerInstanceDeleteOperator=SpannerDeleteInstanceOperator "
            "CloudSpannerInstanceDeployOperator=SpannerDeployInstanceOperator"
        ),
        "gcp_speech_to_text_operator": (
            "google.cloud.operators.speech_to_text: "
            "GcpSpeechToTextRecognizeSpeechOperator=CloudSpeechToTextRecognizeSpeechOperator"
        ),
        "gcp_sql_operator": (
            "google.cloud.operators.cloud_sql: CloudSqlBaseOperator=CloudSQLBaseOperator "
            "CloudSqlInstanceCreateOperator=CloudSQLCreateInstanceOperator "
            "CloudSqlInstanceDatabaseCreateOperator=CloudSQLCreateInstanceDatabaseOperator "
            "CloudSqlInstanceDatabaseDeleteOperator=CloudSQLDeleteInstanceDatabaseOperator "
            "CloudSqlInstanceDatabasePatchOperator=CloudSQLPatchInstanceDatabaseOperator "
            "CloudSqlInstanceDeleteOperator=CloudSQLDeleteInstanceOperator "
            "CloudSqlInstanceExportOperator=CloudSQLExportInstanceOperator "
            "CloudSqlInstanceImportOperator=CloudSQLImportInstanceOperator "
            "CloudSqlInstancePatchOperator=CloudSQLInstancePatchOperator "
            "CloudSqlQueryOperator=CloudSQLExecuteQueryOperator"
        ),
        "gcp_tasks_operator": (
            "google.cloud.operators.tasks: CloudTasksQueueCreateOperator CloudTasksQueueDeleteOperator "
            "CloudTasksQueueGetOperator CloudTasksQueuePauseOperator CloudTasksQueuePurgeOperator "
            "CloudTasksQueueResumeOperator CloudTasksQueuesListOperator CloudTasksQueueUpdateOperator "
            "CloudTasksTaskCreateOperator CloudTasksTaskDeleteOperator CloudTasksTaskGetOperator "
            "CloudTasksTaskRunOperator CloudTasksTasksListOperator"
        ),
        "gcp_text_to_speech_operator": (
            "google.cloud.operators.text_to_speech: "
            "GcpTextToSpeechSynthesizeOperator=CloudTextToSpeechSynthesizeOperator"
        ),
        "gcp_transfer_operator": (
            "google.cloud.operators.cloud_storage_transfer_service: "
            "GcpTransferServiceJobCreateOperator=CloudDataTransferServiceCreateJobOperator "
            "GcpTransferServiceJobDeleteOperator=CloudDataTransferServiceDeleteJobOperator "
            "GcpTransferServiceJobUpdateOperator=CloudDataTransferServiceUpdateJobOperator "
            "GcpTransferServiceOperationCancelOperator=CloudDataTransferServiceCancelOperationOperator "
            "GcpTransferServiceOperationGetOperator=CloudDataTransferServiceGetOperationOperator "
            "GcpTransferServiceOperationPauseOperator=CloudDataTransferServicePauseOperationOperator "
            "GcpTransferServiceOperationResumeOperator=CloudDataTransferServiceResumeOperationOperator "
            "GcpTransferServiceOperationsListOperator=CloudDataTransferServiceListOperationsOperator "
            "GoogleCloudStorageToGoogleCloudStorageTransferOperator=CloudDataTransferServiceGCSToGCSOperator "
            "S3ToGoogleCloudStorageTransferOperator=CloudDataTransferServiceS3ToGCSOperator"
        ),
        "gcp_translate_operator": "google.cloud.operators.translate: CloudTranslateTextOperator",
        "gcp_translate_speech_operator": (
            "google.cloud.operators.translate_speech: GcpTranslateSpeechOperator=CloudTranslateSpeechOperator"
        ),
        "gcp_video_intelligence_operator": (
            "google.cloud.operators.video_intelligence: CloudVideoIntelligenceDetectVideoExplicitContentOperator "
            "CloudVideoIntelligenceDetectVideoLabelsOperator CloudVideoIntelligenceDetectVideoShotsOperator"
        ),
        "gcp_vision_operator": (
            "google.cloud.operators.vision: CloudVisionAddProductToProductSetOperator "
            "CloudVisionDetectImageLabelsOperator CloudVisionDetectImageSafeSearchOperator "
            "CloudVisionDetectTextOperator CloudVisionRemoveProductFromProductSetOperator "
            "CloudVisionAnnotateImageOperator=CloudVisionImageAnnotateOperator "
            "CloudVisionDetectDocumentTextOperator=CloudVisionTextDetectOperator "
            "CloudVisionProductCreateOperator=CloudVisionCreateProductOperator "
            "CloudVisionProductDeleteOperator=CloudVisionDeleteProductOperator "
            "CloudVisionProductGetOperator=CloudVisionGetProductOperator "
            "CloudVisionProductSetCreateOperator=CloudVisionCreateProductSetOperator "
            "CloudVisionProductSetDeleteOperator=CloudVisionDeleteProductSetOperator "
            "CloudVisionProductSetGetOperator=CloudVisionGetProductSetOperator "
            "CloudVisionProductSetUpdateOperator=CloudVisionUpdateProductSetOperator "
            "CloudVisionProductUpdateOperator=CloudVisionUpdateProductOperator "
            "CloudVisionReferenceImageCreateOperator=CloudVisionCreateReferenceImageOperator"
        ),
        "gcs_acl_operator": (
            "google.cloud.operators.gcs: "
            "GoogleCloudStorageBucketCreateAclEntryOperator=GCSBucketCreateAclEntryOperator "
            "GoogleCloudStorageObjectCreateAclEntryOperator=GCSObjectCreateAclEntryOperator"
        ),
        "gcs_delete_operator": "google.cloud.operators.gcs: GoogleCloudStorageDeleteOperator=GCSDeleteObjectsOperator",
        "gcs_download_operator": (
            "google.cloud.transfers.gcs_to_local: GoogleCloudStorageDownloadOperator=GCSToLocalFilesystemOperator"
        ),
        "gcs_list_operator": "google.cloud.operators.gcs: GoogleCloudStorageListOperator=GCSListObjectsOperator",
        "gcs_operator": "google.cloud.operators.gcs: GoogleCloudStorageCreateBucketOperator=GCSCreateBucketOperator",
        "gcs_to_bq": (
            "google.cloud.transfers.gcs_to_bigquery: GoogleCloudStorageToBigQueryOperator=GCSToBigQueryOperator"
        ),
        "gcs_to_gcs": (
            "google.cloud.transfers.gcs_to_gcs: GoogleCloudStorageToGoogleCloudStorageOperator=GCSToGCSOperator"
        ),
        "gcs_to_gdrive_operator": "google.suite.transfers.gcs_to_gdrive: GcsToGDriveOperator=GCSToGoogleDriveOperator",
        "gcs_to_s3": "amazon.aws.transfers.gcs_to_s3: GoogleCloudStorageToS3Operator=GCSToS3Operator",
        "grpc_operator": "grpc.operators.grpc: GrpcOperator",
        "hive_to_dynamodb": (
            "amazon.aws.transfers.hive_to_dynamodb: HiveToDynamoDBTransferOperator=HiveToDynamoDBOperator"
        ),
        "imap_attachment_to_s3_operator": "amazon.aws.transfers.imap_attachment_to_s3: ImapAttachmentToS3Operator",
        "jenkins_job_trigger_operator": "jenkins.operators.jenkins_job_trigger: JenkinsJobTriggerOperator",
        "jira_operator": "atlassian.jira.operators.jira: JiraOperator",
        "kubernetes_pod_operator": "cncf.kubernetes.operators.pod: KubernetesPodOperator",
        "mlengine_operator": (
            "google.cloud.operators.mlengine: MLEngineBatchPredictionOperator=MLEngineStartBatchPredictionJobOperator "
            "MLEngineModelOperator=MLEngineManageModelOperator "
            "MLEngineTrainingOperator=MLEngineStartTrainingJobOperator "
            "MLEngineVersionOperator=MLEngineManageVersionOperator"
        ),
        "mongo_to_s3": "amazon.aws.transfers.mongo_to_s3: MongoToS3Operator",
        "mssql_to_gcs": "google.cloud.transfers.mssql_to_gcs: MsSqlToGoogleCloudStorageOperator=MSSQLToGCSOperator",
        "mysql_to_gcs": "google.cloud.transfers.mysql_to_gcs: MySqlToGoogleCloudStorageOperator=MySQLToGCSOperator",
        "opsgenie_alert_operator": "opsgenie.operators.opsgenie: OpsgenieAlertOperator=OpsgenieCreateAlertOperator",
        "oracle_to_azure_data_lake_transfer": (
            "microsoft.azure.transfers.oracle_to_azure_data_lake: "
            "OracleToAzureDataLakeTransfer=OracleToAzureDataLakeOperator"
        ),
        "oracle_to_oracle_transfer": "oracle.transfers.oracle_to_oracle: OracleToOracleTransfer=OracleToOracleOperator",
        "postgres_to_gcs_operator": (
            "google.cloud.transfers.postgres_to_gcs: PostgresToGoogleCloudStorageOperator=PostgresToGCSOperator"
        ),
        "pubsub_operator": (
            "google.cloud.operators.pubsub: PubSubPublishOperator=PubSubPublishMessageOperator "
            "PubSubSubscriptionCreateOperator=PubSubCreateSubscriptionOperator "
            "PubSubSubscriptionDeleteOperator=PubSubDeleteSubscriptionOperator "
            "PubSubTopicCreateOperator=PubSubCreateTopicOperator PubSubTopicDeleteOperator=PubSubDeleteTopicOperator"
        ),
        "qubole_check_operator": "qubole.operators.qubole_check: QuboleCheckOperator QuboleValueCheckOperator",
        "qubole_operator": "qubole.operators.qubole: QuboleOperator",
        "redis_publish_operator": "redis.operators.redis_publish: RedisPublishOperator",
        "s3_copy_object_operator": "amazon.aws.operators.s3: S3CopyObjectOperator",
        "s3_delete_objects_operator": "amazon.aws.operators.s3: S3DeleteObjectsOperator",
        "s3_list_operator": "amazon.aws.operators.s3: S3ListOperator",
        "s3_to_gcs_operator": "google.cloud.transfers.s3_to_gcs: S3ToGoogleCloudStorageOperator=S3ToGCSOperator",
        "s3_to_sftp_operator": "amazon.aws.transfers.s3_to_sftp: S3ToSFTPOperator",
        "sagemaker_base_operator": "amazon.aws.operators.sagemaker: SageMakerBaseOperator",
        "sagemaker_endpoint_config_operator": "amazon.aws.operators.sagemaker: SageMakerEndpointConfigOperator",
        "sagemaker_endpoint_operator": "amazon.aws.operators.sagemaker: SageMakerEndpointOperator",
        "sagemaker_model_operator": "amazon.aws.operators.sagemaker: SageMakerModelOperator",
        "sagemaker_training_operator": "amazon.aws.operators.sagemaker: SageMakerTrainingOperator",
        "sagemaker_transform_operator": "amazon.aws.operators.sagemaker: SageMakerTransformOperator",
        "sagemaker_tuning_operator": "amazon.aws.operators.sagemaker: SageMakerTuningOperator",
        "segment_track_event_operator": "segment.operators.segment_track_event: SegmentTrackEventOperator",
        "sftp_operator": "sftp.operators.sftp: SFTPOperator",
        "sftp_to_s3_operator": "amazon.aws.transfers.sftp_to_s3: SFTPToS3Operator",
        "snowflake_operator": "snowflake.operators.snowflake: SnowflakeOperator",
        "sns_publish_operator": "amazon.aws.operators.sns: SnsPublishOperator",
        "spark_jdbc_operator": "apache.spark.operators.spark_jdbc: SparkJDBCOperator SparkSubmitOperator",
        "spark_sql_operator": "apache.spark.operators.spark_sql: SparkSqlOperator",
        "spark_submit_operator": "apache.spark.operators.spark_submit: SparkSubmitOperator",
        "sql_to_gcs": "google.cloud.transfers.sql_to_gcs: BaseSQLToGoogleCloudStorageOperator=BaseSQLToGCSOperator",
        "sqoop_operator": "apache.sqoop.operators.sqoop: SqoopOperator",
        "vertica_operator": "vertica.operators.vertica: VerticaOperator",
        "vertica_to_hive": "apache.hive.transfers.vertica_to_hive: VerticaToHiveTransfer=VerticaToHiveOperator",
        "vertica_to_mysql": "mysql.transfers.vertica_to_mysql: VerticaToMySqlTransfer=VerticaToMySqlOperator",
        "wasb_delete_blob_operator": "microsoft.azure.operators.wasb_delete_blob: WasbDeleteBlobOperator",
        "winrm_operator": "microsoft.winrm.operators.winrm: WinRMOperator",
    },
    "airflow.contrib.secrets": {
        "aws_secrets_manager": "amazon.aws.secrets.secrets_manager: SecretsManagerBackend",
        "aws_systems_manager": "amazon.aws.secrets.systems_manager: SystemsManagerParameterStoreBackend",
        "azure_key_vault": "microsoft.azure.secrets.key_vault: AzureKeyVaultBackend",
        "gcp_secrets_manager": (
            "google.cloud.secrets.secret_manager: CloudSecretsManagerBackend=CloudSecretManagerBackend"
        ),
        "hashicorp_vault": "hashicorp.secrets.vault: VaultBackend",
    },
    "airflow.contrib.sensors": {
        "aws_athena_sensor": "amazon.aws.sensors.athena: AthenaSensor",
        "aws_glue_catalog_partition_sensor": (
            "amazon.aws.sensors.glue_catalog_partition: AwsGlueCatalogPartitionSensor=GlueCatalogPartitionSensor"
        ),
        "aws_redshift_cluster_sensor": (
            "amazon.aws.sensors.redshift_cluster: AwsRedshiftClusterSensor=RedshiftClusterSensor"
        ),
        "aws_sqs_sensor": "amazon.aws.sensors.sqs: SQSSensor=SqsSensor",
        "azure_cosmos_sensor": "microsoft.azure.sensors.cosmos: AzureCosmosDocumentSensor",
        "bigquery_sensor": "google.cloud.sensors.bigquery: BigQueryTableSensor=BigQueryTableExistenceSensor",
        "cassandra_record_sensor": "apache.cassandra.sensors.record: CassandraRecordSensor",
        "cassandra_table_sensor": "apache.cassandra.sensors.table: CassandraTableSensor",
        "celery_queue_sensor": "celery.sensors.celery_queue: CeleryQueueSensor",
        "datadog_sensor": "datadog.sensors.datadog: DatadogSensor",
        "emr_base_sensor": "amazon.aws.sensors.emr: EmrBaseSensor",
        "emr_job_flow_sensor": "amazon.aws.sensors.emr: EmrJobFlowSensor",
        "emr_step_sensor": "amazon.aws.sensors.emr: EmrStepSensor",
        "ftp_sensor": "ftp.sensors.ftp: FTPSensor FTPSSensor",
        "gcp_transfer_sensor": (
            "google.cloud.sensors.cloud_storage_transfer_service: "
            "GCPTransferServiceWaitForJobStatusSensor=CloudDataTransferServiceJobStatusSensor"
        ),
        "gcs_sensor": (
            "google.cloud.sensors.gcs: GoogleCloudStorageObjectSensor=GCSObjectExistenceSensor "
            "GoogleCloudStorageObjectUpdatedSensor=GCSObjectUpdateSensor "
            "GoogleCloudStoragePrefixSensor=GCSObjectsWithPrefixExistenceSensor "
            "GoogleCloudStorageUploadSessionCompleteSensor=GCSUploadSessionCompleteSensor"
        ),
        "hdfs_sensor": "apache.hdfs.sensors.hdfs: HdfsSensorFolder=HdfsFolderSensor HdfsSensorRegex=HdfsRegexSensor",
        "imap_attachment_sensor": "imap.sensors.imap_attachment: ImapAttachmentSensor",
        "jira_sensor": "atlassian.jira.sensors.jira: JiraSensor JiraTicketSensor",
        "mongo_sensor": "mongo.sensors.mongo: MongoSensor",
        "pubsub_sensor": "google.cloud.sensors.pubsub: PubSubPullSensor",
        "qubole_sensor": "qubole.sensors.qubole: QuboleFileSensor QubolePartitionSensor QuboleSensor",
        "redis_key_sensor": "redis.sensors.redis_key: RedisKeySensor",
        "redis_pub_sub_sensor": "redis.sensors.redis_pub_sub: RedisPubSubSensor",
        "sagemaker_base_sensor": "amazon.aws.sensors.sagemaker: SageMakerBaseSensor",
        "sagemaker_endpoint_sensor": "amazon.aws.sensors.sagemaker: SageMakerEndpointSensor",
        "sagemaker_training_sensor": "amazon.aws.sensors.sagemaker: SageMakerHook SageMakerTrainingSensor",
        "sagemaker_transform_sensor": "amazon.aws.sensors.sagemaker: SageMakerTransformSensor",
        "sagemaker_tuning_sensor": "amazon.aws.sensors.sagemaker: SageMakerTuningSensor",
        "sftp_sensor": "sftp.sensors.sftp: SFTPSensor",
        "wasb_sensor": "microsoft.azure.sensors.wasb: WasbBlobSensor WasbPrefixSensor",
    },
    "airflow.contrib.utils": {
        "gcp_field_sanitizer": "google.cloud.utils.field_sanitizer: GcpBodyFieldSanitizer GcpFieldSanitizerException",
        "gcp_field_validator": (
            "google.cloud.utils.field_validator: GcpBodyFieldValidator GcpFieldValidationException "
            "GcpValidationSpecificationException"
        ),
        "mlengine_prediction_summary": "google.cloud.utils.mlengine_prediction_summary: JsonCoder",
    },
    "airflow.hooks": {
        "docker_hook": "docker.hooks.docker: DockerHook",
        "druid_hook": "apache.druid.hooks.druid: DruidDbApiHook DruidHook",
        "hdfs_hook": "apache.hdfs.hooks.hdfs: HDFSHook",
        "hive_hooks": "apache.hive.hooks.hive: HiveCliHook HiveMetastoreHook HiveServer2Hook",
        "jdbc_hook": "jdbc.hooks.jdbc: JdbcHook",
        "mssql_hook": "microsoft.mssql.hooks.mssql: MsSqlHook",
        "oracle_hook": "oracle.hooks.oracle: OracleHook",
        "pig_hook": "apache.pig.hooks.pig: PigCliHook",
        "presto_hook": "presto.hooks.presto: PrestoHook",
        "samba_hook": "samba.hooks.samba: SambaHook",
        "slack_hook": "slack.hooks.slack: SlackHook",
        "webhdfs_hook": "apache.hdfs.hooks.webhdfs: WebHDFSHook",
        "zendesk_hook": "zendesk.hooks.zendesk: ZendeskHook",
    },
    "airflow.operators": {
        "check_operator": (
            "common.sql.operators.sql: SQLCheckOperator SQLIntervalCheckOperator SQLThresholdCheckOperator "
            "SQLValueCheckOperator CheckOperator=SQLCheckOperator IntervalCheckOperator=SQLIntervalCheckOperator "
            "ThresholdCheckOperator=SQLThresholdCheckOperator ValueCheckOperator=SQLValueCheckOperator"
        ),
        "docker_operator": "docker.operators.docker: DockerOperator",
        "druid_check_operator": "apache.druid.operators.druid_check: DruidCheckOperator",
        "gcs_to_s3": "amazon.aws.transfers.gcs_to_s3: GCSToS3Operator",
        "google_api_to_s3_transfer": (
            "amazon.aws.transfers.google_api_to_s3: GoogleApiToS3Operator GoogleApiToS3Transfer=GoogleApiToS3Operator"
        ),
        "hive_operator": "apache.hive.operators.hive: HiveOperator",
        "hive_stats_operator": "apache.hive.operators.hive_stats: HiveStatsCollectionOperator",
        "hive_to_druid": "apache.druid.transfers.hive_to_druid: HiveToDruidTransfer=HiveToDruidOperator",
        "hive_to_mysql": "apache.hive.transfers.hive_to_mysql: HiveToMySqlTransfer=HiveToMySqlOperator",
        "hive_to_samba_operator": "apache.hive.transfers.hive_to_samba: Hive2SambaOperator=HiveToSambaOperator",
        "jdbc_operator": "jdbc.operators.jdbc: JdbcOperator",
        "mssql_operator": "microsoft.mssql.operators.mssql: MsSqlOperator",
        "mssql_to_hive": "apache.hive.transfers.mssql_to_hive: MsSqlToHiveTransfer=MsSqlToHiveOperator",
        "mysql_to_hive": "apache.hive.transfers.mysql_to_hive: MySqlToHiveTransfer=MySqlToHiveOperator",
        "oracle_operator": "oracle.operators.oracle: OracleOperator",
        "papermill_operator": "papermill.operators.papermill: PapermillOperator",
        "pig_operator": "apache.pig.operators.pig: PigOperator",
        "presto_check_operator": (
            "common.sql.operators.sql: PrestoCheckOperator=SQLCheckOperator "
            "PrestoIntervalCheckOperator=SQLIntervalCheckOperator PrestoValueCheckOperator=SQLValueCheckOperator"
        ),
        "presto_to_mysql": "mysql.transfers.presto_to_mysql: PrestoToMySqlTransfer=PrestoToMySqlOperator",
        "redshift_to_s3_operator": "amazon.aws.transfers.redshift_to_s3: RedshiftToS3Transfer=RedshiftToS3Operator",
        "s3_file_transform_operator": "amazon.aws.operators.s3_file_transform: S3FileTransformOperator",
        "s3_to_hive_operator": "apache.hive.transfers.s3_to_hive: S3ToHiveTransfer=S3ToHiveOperator",
        "s3_to_redshift_operator": "amazon.aws.transfers.s3_to_redshift: S3ToRedshiftTransfer=S3ToRedshiftOperator",
        "slack_operator": "slack.operators.slack: SlackAPIOperator SlackAPIPostOperator",
        "sql": (
            "common.sql.operators.sql: BranchSQLOperator SQLCheckOperator SQLIntervalCheckOperator "
            "SQLThresholdCheckOperator SQLValueCheckOperator"
        ),
        "sql_branch_operator": "common.sql.operators.sql: BranchSQLOperator BranchSqlOperator=BranchSQLOperator",
    },
    "airflow.sensors": {
        "hdfs_sensor": "apache.hdfs.sensors.hdfs: HdfsSensor",
        "hive_partition_sensor": "apache.hive.sensors.hive_partition: HivePartitionSensor",
        "metastore_partition_sensor": "apache.hive.sensors.metastore_partition: MetastorePartitionSensor",
        "named_hive_partition_sensor": "apache.hive.sensors.named_hive_partition: NamedHivePartitionSensor",
        "s3_prefix_sensor": "amazon.aws.sensors.s3: S3PrefixSensor=S3KeySensor",
        "sql": "common.sql.sensors.sql: SqlSensor",
        "web_hdfs_sensor": "apache.hdfs.sensors.web_hdfs: WebHdfsSensor",
    },
    "airflow.utils.log": {
        "cloudwatch_task_handler": "amazon.aws.log.cloudwatch_task_handler: CloudwatchTaskHandler",
        "es_task_handler": "elasticsearch.log.es_task_handler: ElasticsearchTaskHandler",
        "gcs_task_handler": "google.cloud.log.gcs_task_handler: GCSTaskHandler",
        "s3_task_handler": "amazon.aws.log.s3_task_handler: S3TaskHandler",
        "stackdriver_task_handler": "google.cloud.log.stackdriver_task_handler: StackdriverTaskHandler",
        "wasb_task_handler": "microsoft.azure.log.wasb_task_handler: WasbTaskHandler",
    },
}
"""Package → module → what it had, and which module of a provider has that now."""


def provided_rows() -> Iterator[tuple[str, str]]:
    """The rows of all these modules."""
    for package, modules in PROVIDED.items():
        for module, text in modules.items():
            yield f"{package}.{module}", "; ".join(f"{PROVIDERS}.{part}" for part in text.split("; "))
