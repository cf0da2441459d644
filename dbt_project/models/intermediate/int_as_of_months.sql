{#-
    The months come in by the environment: dbt parses the whole project anew when a variable on its command line
    changes.
#}
select unnest(
    generate_series(
        cast('{{ env_var("DOORSTEP_FIRST_MONTH", "2026-10-01") }}' as date),
        cast('{{ env_var("DOORSTEP_LAST_MONTH", "2026-10-01") }}' as date),
        interval 1 month
    )
)::date as as_of_month,
