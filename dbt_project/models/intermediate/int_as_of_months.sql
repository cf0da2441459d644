select unnest(
    generate_series(
        cast('{{ var("first_month") }}' as date),
        cast('{{ var("last_month") }}' as date),
        interval 1 month
    )
)::date as as_of_month,
