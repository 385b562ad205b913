locals {
  subscription_filter = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=one_of(\"${join("\",\"", local.flow_subscriptions)}\")"

  # Title, metric and filter, how a series is aligned, how series are put together, by what.
  charts = [
    { title = "Backlog: messages that wait", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.subscription_filter}", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["resource.label.subscription_id"] },
    { title = "Age of the oldest, seconds", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.subscription_filter}", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.subscription_id"] },
    { title = "Chunks a minute", filter = "metric.type=\"logging.googleapis.com/user/longscribe/chunks\"", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = [] },
    { title = "Speed of a worker, times real time", filter = "metric.type=\"logging.googleapis.com/user/longscribe/speed\"", align = "ALIGN_PERCENTILE_50", reduce = "REDUCE_MEAN", by = [] },
    { title = "GPUs asked for", filter = "metric.type=\"logging.googleapis.com/user/longscribe/instances\"", align = "ALIGN_PERCENTILE_50", reduce = "REDUCE_MAX", by = [] },
    { title = "Chunks that wait or are worked on", filter = "metric.type=\"logging.googleapis.com/user/longscribe/waiting\"", align = "ALIGN_PERCENTILE_50", reduce = "REDUCE_MAX", by = [] },
    { title = "Errors", filter = "metric.type=\"logging.googleapis.com/user/longscribe/errors\"", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = [] },
    { title = "Dead letters", filter = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND ${local.subscription_filter}", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["resource.label.subscription_id"] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "longscribe"
    mosaicLayout = {
      columns = 12
      tiles = [for place, chart in local.charts : {
        xPos   = place % 2 * 6
        yPos   = floor(place / 2) * 4
        width  = 6
        height = 4
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart.align
                    crossSeriesReducer = chart.reduce
                    groupByFields      = chart.by
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })

  depends_on = [time_sleep.metrics]
}
