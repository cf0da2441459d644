{% macro known_versions(versions, deliveries, feed) -%}
    {#-
        Every version of every record, with two days. `replaced_on`: a better version reached us; null while this is the
        last that we know. `superseded_on`: that, or a full delivery that no longer holds the record; null while
        this version is the one we go by.

        The newest delivery wins by its own date, not by the order of arrival; of two deliveries of one date, the later
        received wins, then the larger identifier. A version that arrives after a better one is never gone by.
    -#}
    select
        versions.*,
        min(versions.received_date) over (
            partition by versions.record_ref
            order by
                versions.delivery_date desc,
                versions.received_date desc,
                versions.delivery_id desc
            rows between unbounded preceding and 1 preceding
        ) as replaced_on,
        least(replaced_on, fulls.closed_on) as superseded_on,
    from {{ versions }} as versions
    left join (
        select
            delivery.delivery_id,
            min(later.received_date) as closed_on,
        from {{ deliveries }} as delivery
        inner join {{ deliveries }} as later
            on
                delivery.feed = later.feed
                and later.kind = 'full'
                and (later.delivery_date, later.received_date, later.delivery_id)
                > (delivery.delivery_date, delivery.received_date, delivery.delivery_id)
        where delivery.feed = '{{ feed }}'
        group by delivery.delivery_id
    ) as fulls
        on versions.delivery_id = fulls.delivery_id
{%- endmacro %}

{% macro current_as_of(versions, month) -%}
    {#- True for the version of a record that we went by on the first of `month`. -#}
    (
        {{ versions }}.received_date < {{ month }}
        and ({{ versions }}.superseded_on is null or {{ versions }}.superseded_on >= {{ month }})
    )
{%- endmacro %}

{% macro last_known_as_of(versions, month) -%}
    {#- True for the last version of a record that had come before the first of `month`, dropped or not. -#}
    (
        {{ versions }}.received_date < {{ month }}
        and ({{ versions }}.replaced_on is null or {{ versions }}.replaced_on >= {{ month }})
    )
{%- endmacro %}

{% macro ended_as_of(versions, month) -%}
    {#-
        The end that the last known version gives. A record that a full delivery dropped without an end was over when
        that delivery reached us.
    -#}
    coalesce(
        {{ versions }}.end_date,
        if({{ versions }}.superseded_on < {{ month }}, {{ versions }}.superseded_on - 1, null)
    )
{%- endmacro %}

{% macro within_years(day, month, years) -%}
    {#- True if `day` lies in the `years` before the first of `month`. -#}
    ({{ day }} < {{ month }} and {{ day }} >= {{ month }} - interval ({{ years }}) year)
{%- endmacro %}
