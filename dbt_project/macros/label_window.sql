{% macro is_owed_within(day, month, horizon) -%}
    {#- True if `day` lies in the `horizon` months that begin on the first of `month`. -#}
    coalesce({{ day }} >= {{ month }} and {{ day }} < {{ month }} + interval {{ horizon }} month, false)
{%- endmacro %}

{% macro is_observed(observed_until, month, horizon) -%}
    {#-
        True if deliveries cover the whole window: a window that still runs has no label yet. A delivery covers the day
        that it is dated, so the one of the window's last day completes it.
    -#}
    coalesce({{ observed_until }} + interval 1 day >= {{ month }} + interval {{ horizon }} month, false)
{%- endmacro %}
